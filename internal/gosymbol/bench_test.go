// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"path/filepath"
	"testing"
)

// goCommand is the program of the benchmarks: 15,000 functions.
func goCommand(b *testing.B) string { return filepath.Join(goRoot(b), "bin", "go") }

func BenchmarkFrames(b *testing.B) {
	table, in := readFile(b, goCommand(b))
	addrs := randomAddresses(table, 1<<14)
	out := make([]Frame, 0, maxDepth+1)
	frames, i := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		out = table.Frames(addrs[i%len(addrs)], out[:0])
		frames += len(out)
		i++
	}
	b.ReportMetric(float64(frames)/float64(i), "frames/op")
	b.ReportMetric(float64(table.Bytes())/float64(table.Functions()), "B/function")
	b.ReportMetric(float64(table.Bytes())/float64(in.Size), "of-section")
}

func BenchmarkFunctions(b *testing.B) {
	_, in := readFile(b, goCommand(b))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n = 0
		if _, err := Functions(in, func(uint64, uint64, uint32) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/function")
}

func BenchmarkUnit(b *testing.B) {
	_, in := readFile(b, goCommand(b))
	r, err := open(in)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	bytes, n := 0, uint64(0)
	for b.Loop() {
		t, err := r.table(n*7919%(r.funcs/unitFunctions)*unitFunctions, unitFunctions)
		if err != nil {
			b.Fatal(err)
		}
		bytes += t.Bytes()
		n++
	}
	b.ReportMetric(float64(bytes)/float64(n), "B/unit")
}
