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

// records are the lifecycle records that wait for their completion.
type records struct {
	waiting []event.Lifecycle
	taken   int
}

// take returns the records up to w, in the order they are to be applied; drop
// must follow.
func (r *records) take(w event.KTime) []event.Lifecycle {
	r.taken = partition(r.waiting, func(l *event.Lifecycle) bool { return l.KTime <= w })
	rs := r.waiting[:r.taken]
	slices.SortFunc(rs, byTime)
	return rs
}

func (r *records) drop() { r.waiting = shrink(slices.Delete(r.waiting, 0, r.taken)) }

// byTime orders completely, so that equal input has equal results.
func byTime(a, b event.Lifecycle) int {
	return cmp.Or(cmp.Compare(a.KTime, b.KTime), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Proc.PID, b.Proc.PID), cmp.Compare(a.Proc.Start, b.Proc.Start),
		cmp.Compare(a.Generation, b.Generation))
}

// answers are the answers that wait for their completion.
type answers struct {
	waiting []Answer
	taken   int
}

func (r *answers) take(w event.KTime) []Answer {
	r.taken = partition(r.waiting, func(a *Answer) bool { return a.To <= w })
	as := r.waiting[:r.taken]
	slices.SortFunc(as, func(a, b Answer) int {
		return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(a.From, b.From),
			cmp.Compare(a.Proc.PID, b.Proc.PID), cmp.Compare(a.Proc.Start, b.Proc.Start))
	})
	return as
}

func (r *answers) drop() { r.waiting = shrink(slices.Delete(r.waiting, 0, r.taken)) }

// partition moves the chosen to the front and returns how many they are.
func partition[T any](s []T, chosen func(*T) bool) int {
	n := 0
	for i := range s {
		if chosen(&s[i]) {
			s[n], s[i] = s[i], s[n]
			n++
		}
	}
	return n
}

// shrink gives back the memory of a burst.
func shrink[T any](s []T) []T {
	if cap(s) > minCap && len(s) < cap(s)/8 {
		return append(make([]T, 0, cap(s)/4), s...)
	}
	return s
}
