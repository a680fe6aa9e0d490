// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

func TestWindowCounts(t *testing.T) {
	w := NewWindow(10, 20)
	require.EqualValues(t, 10, w.Start())
	require.EqualValues(t, 20, w.End())
	require.EqualValues(t, 20, w.Oldest(), "nothing is older than the end")
	require.Zero(t, w.Samples())
	for _, k := range []event.KTime{15, 12, 18} {
		w.Add(testOwner(1), thread("t"), k, nil)
	}
	require.EqualValues(t, 12, w.Oldest())
	require.EqualValues(t, 3, w.Samples())
}

// TestAddKeepsNothing reuses the caller's memory, as a batch of the source does.
func TestAddKeepsNothing(t *testing.T) {
	w, owner := NewWindow(windowStart, windowEnd), testOwner(1)
	stack := []Frame{{Binary: 1, Offset: 2}}
	w.Add(owner, thread("a"), windowEnd, stack)
	stack[0].Offset = 4
	w.Add(owner, thread("a"), windowEnd, stack)
	require.Equal(t, 2, collect(w, testSettings, fakeResolver{})[0].Profiles.SampleCount())
}

func TestAddAllocatesNothingForTheKnown(t *testing.T) {
	w, owner, stack := NewWindow(windowStart, windowEnd), testOwner(1), testStack(1, 100)
	w.samples = make([]chained, 0, 10_000) // what grows with the number of samples
	require.Zero(t, testing.AllocsPerRun(1000, func() { w.Add(owner, thread("main"), windowEnd, stack) }))
}

func TestStackKeysAreInvertible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stack := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Frame {
			return Frame{Binary: BinaryID(rapid.Uint32().Draw(t, "binary")), Offset: rapid.Uint64().Draw(t, "offset")}
		})).Draw(t, "stack")
		got := stackKeyFrames(nil, string(makeStackKey(nil, stack)))
		require.Len(t, got, len(stack))
		for i := range stack {
			require.Equal(t, stack[i], got[i])
		}
	})
}

// What is left of a window is what it would be without the owners that were dropped.
func TestDrop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		owners := drawOwners(t)
		additions := drawAdditions(t, len(owners))
		w := fill(owners, additions)
		out := rapid.SliceOfNDistinct(rapid.IntRange(0, len(owners)-1), 0, len(owners), rapid.ID[int]).Draw(t, "out")
		var left []addition
		for _, a := range additions {
			if !slices.Contains(out, a.owner) {
				left = append(left, a)
			}
		}
		dropped := uint64(0)
		for _, o := range out {
			dropped += w.Drop(owners[o])
			require.Zero(t, w.Drop(owners[o]))
		}
		require.EqualValues(t, len(additions)-len(left), dropped)
		require.EqualValues(t, len(left), w.Samples())
		got := map[string][]uint64{}
		for _, b := range collect(w, testSettings, fakeResolver{}) {
			read(b, got)
		}
		require.Equal(t, oracle(owners, left, testSettings), sorted(got))
	})
}
