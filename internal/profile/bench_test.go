// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"testing"
)

func BenchmarkAddKnown(b *testing.B) {
	w, owner := NewWindow(windowStart, windowEnd), testOwner(1)
	stacks := make([][]Frame, 64)
	for i := range stacks {
		stacks[i] = testStack(i, 50)
		w.Add(owner, thread("main"), windowEnd, stacks[i])
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.Add(owner, thread("main"), windowEnd, stacks[i%len(stacks)])
	}
}

func BenchmarkAddNew(b *testing.B) {
	w, owner := NewWindow(windowStart, windowEnd), testOwner(1)
	stack := testStack(1, 50)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		stack[0].Offset = uint64(i)
		w.Add(owner, thread("main"), windowEnd, stack)
	}
}

func BenchmarkBatchesOwners(b *testing.B) { benchmarkBatches(b, manyOwners(10_000)) }

func BenchmarkBatchesStacks(b *testing.B) { benchmarkBatches(b, manyStacks(10_000)) }

func benchmarkBatches(b *testing.B, w *Window) {
	b.ReportAllocs()
	for b.Loop() {
		for range w.Batches(testSettings, constResolver{}) {
		}
	}
}

// constResolver costs nothing, so that the benchmark measures only this package.
type constResolver struct{}

func (constResolver) Resolve(f Frame) Location {
	return Location{
		Mapping: Mapping{Start: 0x1000, Limit: 0x9000, Filename: "app", GNUBuildID: "abc"},
		Address: f.Offset, Lines: []Line{{Function: "function"}}, FrameType: "native",
	}
}
