// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"

// Ledger is what tests check of a snapshot.
type Ledger struct {
	Expected, Unfired, Taken, Filtered, Delivered, InFlight, Late, Completions uint64
	// Pending are frames that were delivered before what names them had been read.
	Pending uint64
	// On: the host is sampled.
	On bool

	// Unsent are those of Filtered that the sampler dropped as those of unwanted processes.
	Unsent uint64

	Lost, Reasons map[string]uint64
}

// LostTotal is the number of samples lost for any reason.
func (l Ledger) LostTotal() (n uint64) {
	for _, m := range l.Lost {
		n += m
	}
	return n
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
			On:          s.on,
			Pending:     s.unread,
			Unsent:      s.counters.Filtered,
			Lost:        lost(s),
			Reasons:     filtered(s),
		}
		for _, n := range filtered(s) {
			l.Filtered += n
		}
		return l
	}
}

// Links counts samples by what became of the context of their threads.
type Links = pipeline.ThreadContexts

// ReadLinks is to links what ReadLedger is to the ledger.
func ReadLinks(r *Receiver) func() Links {
	published := &r.run.telemetry.published
	return func() Links { return published.Load().pipeline.Threads }
}
