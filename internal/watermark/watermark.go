// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package watermark

import (
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Guard covers clocks only: the kernel's NMI-safe clock may step back while the
// timekeeper is updated (ktime_get_mono_fast_ns in kernel/time/timekeeping.c,
// v6.12), by the change of slope times as long as the update takes: nanoseconds,
// unless the CPU that updates is taken away in the middle. CPUs may be skewed by
// nanoseconds. It is no slack for scheduling.
const Guard event.KTime = 1_000_000

// Watermark turns drained buffers into completions. It is not safe for
// concurrent use.
type Watermark struct {
	guard event.KTime
	// t0 is the clock before the barrier of the open round.
	t0   event.KTime
	open bool
	// heads are the positions the buffers must be drained to in the open round.
	heads []uint64
	// frontiers only grow: buffer i holds no record stamped at or before
	// frontiers[i].
	frontiers []event.KTime
	// until is the last completion; it only grows.
	until event.KTime
}

// New returns a watermark over a number of buffers, at least one.
func New(buffers int, guard event.KTime) *Watermark {
	return &Watermark{
		guard:     guard,
		heads:     make([]uint64, buffers),
		frontiers: make([]event.KTime, buffers),
	}
}

// Open reports whether a round is under way: a barrier has passed and not every
// buffer has been drained to its head. The next barrier waits for its end.
func (w *Watermark) Open() bool { return w.open }

// Grow adds buffers, between rounds. A program writes to a buffer after it was
// added, so a new one holds nothing that a barrier has passed: it stands where
// the others do.
func (w *Watermark) Grow(buffers int) {
	for len(w.frontiers) < buffers {
		w.heads = append(w.heads, 0)
		w.frontiers = append(w.frontiers, w.until)
	}
}

// Barrier starts a round. t0 is the clock before the barrier began, heads are
// the write positions of the buffers after it returned.
func (w *Watermark) Barrier(t0 event.KTime, heads []uint64) {
	w.t0, w.open = t0, true
	copy(w.heads, heads)
}

// Drained tells that a buffer has been read up to a position.
func (w *Watermark) Drained(buffer int, position uint64) {
	if w.open && position >= w.heads[buffer] {
		w.frontiers[buffer] = max(w.frontiers[buffer], w.frontier())
	}
}

// Complete ends the round when every buffer has been drained to its head. It
// returns the watermark, and true when it moved: no record stamped at or before
// it is still to come.
func (w *Watermark) Complete() (event.KTime, bool) {
	lowest := slices.Min(w.frontiers)
	if !w.open || lowest < w.frontier() {
		return w.until, false
	}
	w.open = false
	if lowest <= w.until {
		return w.until, false
	}
	w.until = lowest
	return lowest, true
}

// frontier is where a buffer stands once it is drained in the open round.
func (w *Watermark) frontier() event.KTime {
	return w.t0 - min(w.t0, w.guard+1)
}
