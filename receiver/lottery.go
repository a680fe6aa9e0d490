// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import "time"

// Lottery decides anew in each interval whether the host is sampled.
type Lottery struct {
	// Threshold is the probability in percent; 0 and 100 mean always.
	Threshold int
	Interval  time.Duration
}

func (l Lottery) always() bool { return l.Threshold == 0 || l.Threshold >= 100 }

// draw decides about an interval by a number from [0, 1).
func (l Lottery) draw(random float64) bool { return l.always() || 100*random < float64(l.Threshold) }

// ticks begins an interval with each tick; there is none if nothing is to be decided.
func (l Lottery) ticks() (ticks <-chan time.Time, stop func()) {
	if l.always() {
		return nil, func() {}
	}
	t := time.NewTicker(l.Interval)
	return t.C, t.Stop
}
