// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// patience is how long a sample may wait for the completion that covers it: a
// round that leaves an older one is stuck, unless a program has been running for
// so long that a completion had to wait for it.
const patience = 2 * sec

// tally counts what a way to complete does to a stream. A completion speaks for
// ever, so one that steps back does not take back what was said.
type tally struct {
	stream  *stream
	until   event.KTime
	waiting []event.KTime

	samples, completions  int
	late, backward, stuck int
	lag                   event.KTime
}

// deliver takes a record that was read.
func (t *tally) deliver(p *program) {
	if p.ktime() <= t.until {
		t.late++
	}
	if p.kind == sample {
		t.samples++
		t.waiting = append(t.waiting, p.ktime())
	}
}

func (t *tally) complete(until, now event.KTime) {
	t.completions++
	t.lag = max(t.lag, now-max(t.until, boot))
	if until < t.until {
		t.backward++
	}
	t.until = max(t.until, until)
	t.waiting = slices.DeleteFunc(t.waiting, func(k event.KTime) bool { return k <= t.until })
}

// roundOver looks whether a sample waits for too long and for nothing.
func (t *tally) roundOver(now event.KTime) {
	if len(t.waiting) > 0 && slices.Min(t.waiting)+patience < now && !t.stream.lingers(now) {
		t.stuck++
	}
}

// over is the end of the simulation.
func (t *tally) over(end event.KTime) { t.lag = max(t.lag, end-max(t.until, boot)) }
