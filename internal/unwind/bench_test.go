// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var files = flag.String("files", "", "more files for BenchmarkCompile, separated by commas")

func BenchmarkCompile(b *testing.B) {
	paths := []string{libc(b), host("/usr/lib/*-linux-gnu/libstdc++.so.6", "/usr/lib64/libstdc++.so.6")}
	for _, path := range append(paths, strings.Split(*files, ",")...) {
		if path != "" {
			b.Run(filepath.Base(path), func(b *testing.B) { benchmarkCompile(b, path) })
		}
	}
}

func benchmarkCompile(b *testing.B, path string) {
	file, err := os.Open(path)
	require.NoError(b, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(b, err)
	var table *Table
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		if table, err = Compile(file, info.Size()); err != nil {
			b.Fatal(err)
		}
	}
	rows := float64(len(table.Rows))
	b.ReportMetric(rows, "rows")
	b.ReportMetric(float64(len(table.Rules)), "rules")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	b.ReportMetric(float64(table.Bytes())/rows, "B/row")
}

func BenchmarkFind(b *testing.B) {
	table := compilePath(b, libc(b))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		table.Find(table.Base + uint64(table.Rows[i].Offset))
		if i += 7919; i >= len(table.Rows) {
			i %= len(table.Rows)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	rule := Rule{CFA: CFAFP, CFAOffset: 16, FP: AtCFA, FPOffset: -16, RA: AtCFA, RAOffset: -8}
	read := func(addr uint64) (uint64, bool) { return addr + 64, true }
	b.ReportAllocs()
	for b.Loop() {
		if _, reason := rule.Step(AMD64, Registers{SP: 1, FP: 16}, read); reason != ReasonOK {
			b.Fatal(reason)
		}
	}
}
