// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"os"
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
	b.ReportMetric(float64(table.Bytes())/float64(len(in.Table)), "of-section")
}

func BenchmarkReadELF(b *testing.B) {
	f, err := os.Open(goCommand(b))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readELF(f, info.Size()); err != nil {
			b.Fatal(err)
		}
	}
}
