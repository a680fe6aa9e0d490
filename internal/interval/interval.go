// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package interval cuts ranges of addresses that overlap into disjoint ones.
package interval

import "math"

// Flatten calls yield with disjoint ranges in ascending order, each with the number of
// the last of the n ranges that covers it. The ranges are in ascending order of their
// starts; of two with the same start the one that should win comes later.
func Flatten(n int, at func(int) (start, end uint64), yield func(start, end uint64, i int)) {
	// The stack holds the ranges that may still cover what comes.
	var stack []int
	done := uint64(0)
	// upTo names the addresses from done to limit.
	upTo := func(limit uint64) {
		for len(stack) > 0 && done < limit {
			top := stack[len(stack)-1]
			_, last := at(top)
			if end := min(last, limit); end > done {
				yield(done, end, top)
				done = end
			}
			if last <= done {
				stack = stack[:len(stack)-1]
			}
		}
		done = limit
	}
	for i := range n {
		start, _ := at(i)
		upTo(start)
		stack = append(stack, i)
	}
	upTo(math.MaxUint64)
}
