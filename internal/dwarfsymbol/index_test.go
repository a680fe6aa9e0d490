// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import "testing"

// TestPlace: of units that claim the same function the first counts, of others the one
// that begins later.
func TestPlace(t *testing.T) {
	x := &Index{}
	x.place([]unitRange{
		{extent{100, 200}, 2}, {extent{100, 220}, 7}, {extent{150, 160}, 9},
		{extent{300, 310}, 1}, {extent{310, 320}, 1}, {extent{300, 310}, 4},
	})
	for addr, want := range map[uint64]uint32{100: 2, 149: 2, 150: 9, 159: 9, 160: 2, 199: 2, 200: 7, 219: 7, 300: 1, 319: 1} {
		if got, ok := x.Unit(addr); !ok || got != want {
			t.Errorf("%d is in unit %d, %v, not in %d", addr, got, ok, want)
		}
	}
	for _, addr := range []uint64{0, 99, 220, 299, 320} {
		if got, ok := x.Unit(addr); ok {
			t.Errorf("%d is in unit %d", addr, got)
		}
	}
	if len(x.starts) != 5 {
		t.Error(x.starts, "neighbours of one unit are one range")
	}
}
