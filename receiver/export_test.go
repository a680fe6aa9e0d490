// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

// Ledger is what tests check of a snapshot.
type Ledger struct {
	Expected, Unfired, Taken, Filtered, Lost, Delivered, InFlight, Late, Completions uint64
}

// ReadLedger returns a function that reads the newest snapshot of a receiver that
// has been started, also after its Shutdown.
func ReadLedger(r *Receiver) func() Ledger {
	published := &r.run.telemetry.published
	return func() Ledger {
		s := published.Load()
		l := Ledger{
			Expected:    s.counters.Expected(),
			Unfired:     s.counters.Unfired,
			Taken:       s.counters.Taken(),
			Delivered:   s.delivered,
			InFlight:    s.inFlight(),
			Late:        s.pipeline.Ledger.Late,
			Completions: s.completions,
		}
		for _, n := range filtered(s) {
			l.Filtered += n
		}
		for _, n := range lost(s) {
			l.Lost += n
		}
		return l
	}
}
