// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Window counts the samples of one span of time: those after its start, up to
// and including its end.
type Window struct {
	start, end     event.KTime
	oldest, newest event.KTime

	owners  interner[*Owner]
	labels  interner[Labels]
	stacks  interner[string] // by stack key
	records interner[record]

	// ofOwner lists each owner's records in the order of their first sample.
	ofOwner [][]uint32
	// last is, per record, the index of its newest entry in samples.
	last []uint32
	// samples holds the samples of all records, each chained to the one before it
	// in its record: one slice that grows, not one per record.
	samples []chained
	// dropped is how many of them do not count any more.
	dropped uint64

	key []byte // scratch
}

// record is what samples have to have in common to be counted together.
type record struct{ owner, labels, stack uint32 }

// chained is one sample in the chain of its record.
type chained struct {
	ktime event.KTime
	// previous is the index of the sample before, or none.
	previous uint32
}

const none = ^uint32(0)

// NewWindow returns the empty window of the samples in (start, end].
func NewWindow(start, end event.KTime) *Window {
	return &Window{start: start, end: end}
}

// Start returns the time after which the window's samples were taken.
func (w *Window) Start() event.KTime { return w.start }

// End returns the time of the last sample that belongs into the window.
func (w *Window) End() event.KTime { return w.end }

// EndAt ends the window ahead of its time. It holds no sample after end.
func (w *Window) EndAt(end event.KTime) { w.end = end }

// Samples returns the number of samples added and not dropped.
func (w *Window) Samples() uint64 { return uint64(len(w.samples)) - w.dropped }

// Drop leaves out all samples of an owner, who has no more of them in this window, and
// returns their number.
func (w *Window) Drop(owner *Owner) uint64 {
	o, known := w.owners.find(owner)
	if !known {
		return 0
	}
	before := w.dropped
	for _, r := range w.ofOwner[o] {
		for i := w.last[r]; i != none; i = w.samples[i].previous {
			w.dropped++
		}
	}
	w.ofOwner[o] = nil
	return w.dropped - before
}

// Stacks returns the number of different stacks.
func (w *Window) Stacks() int { return len(w.stacks.keys) }

// Oldest returns the time of the oldest sample, or the window's end if there is
// no sample.
func (w *Window) Oldest() event.KTime {
	if len(w.samples) == 0 {
		return w.end
	}
	return w.oldest
}

// Add counts one sample. The stack is ordered innermost first, kernel frames
// before user frames; Add does not keep it. A sample outside (start, end] is
// counted all the same: the profiles are then said to cover more time.
func (w *Window) Add(owner *Owner, labels Labels, ktime event.KTime, stack []Frame) {
	r := w.record(owner, labels, stack)
	w.observe(ktime)
	w.samples = append(w.samples, chained{ktime: ktime, previous: w.last[r]})
	w.last[r] = uint32(len(w.samples) - 1)
}

// record returns the index of the record a sample belongs to.
func (w *Window) record(owner *Owner, labels Labels, stack []Frame) uint32 {
	o, known := w.owners.find(owner)
	if !known {
		o = w.owners.add(owner)
		w.ofOwner = append(w.ofOwner, nil)
	}
	l, _ := w.labels.intern(labels)
	w.key = makeStackKey(w.key, stack)
	s, known := w.stacks.index[string(w.key)] // spelled out: only this form avoids the copy
	if !known {
		s = w.stacks.add(string(w.key))
	}
	r, known := w.records.find(record{o, l, s})
	if !known {
		r = w.records.add(record{o, l, s})
		w.ofOwner[o] = append(w.ofOwner[o], r)
		w.last = append(w.last, none)
	}
	return r
}

// observe keeps the times of the oldest and the newest sample.
func (w *Window) observe(ktime event.KTime) {
	if len(w.samples) == 0 {
		w.oldest, w.newest = ktime, ktime
		return
	}
	w.oldest, w.newest = min(w.oldest, ktime), max(w.newest, ktime)
}

// span returns the first and the last moment the profiles cover. All samples
// lie between them, inclusively, even those outside the window.
func (w *Window) span() (first, last event.KTime) {
	return min(w.start+1, w.oldest), max(w.end, w.newest)
}

// orderedOwners returns the indices of the owners in the order of the resources.
func (w *Window) orderedOwners() []uint32 {
	order := make([]uint32, len(w.owners.keys))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortStableFunc(order, func(a, b uint32) int {
		return compareOwners(w.owners.keys[a], w.owners.keys[b])
	})
	return order
}
