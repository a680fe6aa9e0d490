// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"cmp"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// minCap is a capacity not worth giving back.
const minCap = 8192

// waiting holds what waits for its completion.
type waiting[T any] struct {
	all   []T
	taken int
	// at is the moment of one, compare the order of two. It is complete, so that
	// equal input has equal results.
	at      func(*T) event.KTime
	compare func(a, b T) int
}

// take returns what there is up to w, in its order; drop must follow.
func (w *waiting[T]) take(until event.KTime) []T {
	w.taken = 0
	for i := range w.all {
		if w.at(&w.all[i]) <= until {
			w.all[w.taken], w.all[i] = w.all[i], w.all[w.taken]
			w.taken++
		}
	}
	slices.SortFunc(w.all[:w.taken], w.compare)
	return w.all[:w.taken]
}

func (w *waiting[T]) drop() { w.all = shrink(slices.Delete(w.all, 0, w.taken)) }

// next is the moment of the first of what was taken.
func (w *waiting[T]) next(taken []T) event.KTime {
	if len(taken) == 0 {
		return forever
	}
	return w.at(&taken[0])
}

func newRecords() waiting[event.Lifecycle] {
	return waiting[event.Lifecycle]{
		at: func(r *event.Lifecycle) event.KTime { return r.KTime },
		compare: func(a, b event.Lifecycle) int {
			return cmp.Or(cmp.Compare(a.KTime, b.KTime), cmp.Compare(a.Kind, b.Kind),
				cmp.Compare(a.Proc.PID, b.Proc.PID), cmp.Compare(a.Proc.Start, b.Proc.Start),
				cmp.Compare(a.Generation, b.Generation))
		},
	}
}

func newMapped() waiting[event.Mapped] {
	return waiting[event.Mapped]{
		at: func(m *event.Mapped) event.KTime { return m.KTime },
		compare: func(a, b event.Mapped) int {
			return cmp.Or(cmp.Compare(a.KTime, b.KTime), cmp.Compare(a.PID, b.PID), cmp.Compare(a.Start, b.Start),
				cmp.Compare(a.End, b.End), cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Path, b.Path))
		},
	}
}

func newAnswers() waiting[Answer] {
	return waiting[Answer]{
		at: func(a *Answer) event.KTime { return a.To },
		compare: func(a, b Answer) int {
			return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(a.From, b.From),
				cmp.Compare(a.Proc.PID, b.Proc.PID), cmp.Compare(a.Proc.Start, b.Proc.Start))
		},
	}
}

// shrink gives back the memory of a burst.
func shrink[T any](s []T) []T {
	if cap(s) > minCap && len(s) < cap(s)/8 {
		return append(make([]T, 0, cap(s)/4), s...)
	}
	return s
}
