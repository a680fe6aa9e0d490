// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkCompile(b *testing.B) {
	data, err := os.ReadFile(libc(b))
	require.NoError(b, err)
	rows, size := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		table, err := Compile(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			b.Fatal(err)
		}
		rows, size = len(table.Rows), table.Bytes()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
	b.ReportMetric(float64(size)/float64(rows), "B/row")
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
