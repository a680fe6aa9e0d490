// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package interval

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type span struct{ start, end uint64 }

// TestFlatten asks for each address which range is the last that covers it.
func TestFlatten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) span {
			start := rapid.Uint64Range(0, 40).Draw(t, "start")
			return span{start, start + rapid.Uint64Range(0, 20).Draw(t, "size")}
		}), 0, 12).Draw(t, "ranges")
		slices.SortStableFunc(all, func(a, b span) int { return cmp.Compare(a.start, b.start) })
		got := map[uint64]int{}
		last := uint64(0)
		Flatten(len(all), func(i int) (uint64, uint64) { return all[i].start, all[i].end }, func(start, end uint64, i int) {
			if start < last || end <= start {
				t.Fatalf("%d to %d after %d", start, end, last)
			}
			for last = start; last < end; last++ {
				got[last] = i + 1
			}
		})
		for addr := range uint64(64) {
			want := 0
			for i, s := range all {
				if addr >= s.start && addr < s.end {
					want = i + 1
				}
			}
			if got[addr] != want {
				t.Fatalf("%d is in %d, not in %d", addr, got[addr]-1, want-1)
			}
		}
	})
}
