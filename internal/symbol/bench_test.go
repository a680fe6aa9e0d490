// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

func BenchmarkName(b *testing.B) {
	f := readPath(b, libc(b))
	starts := f.functions.starts
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := f.Name(starts[i]); !ok {
			b.Fatal("no name")
		}
		if i += 7919; i >= len(starts) {
			i %= len(starts)
		}
	}
	b.ReportMetric(float64(f.Bytes())/float64(len(starts)), "B/function")
}

func BenchmarkRead(b *testing.B) {
	data, err := os.ReadFile(libc(b))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(bytes.NewReader(data), int64(len(data)), everything); err != nil {
			b.Fatal(err)
		}
	}
}

func kallsymsOfHost(b *testing.B) []byte {
	data, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		roottest.Lacks(b, "no /proc/kallsyms")
	}
	return data
}

func BenchmarkKernelName(b *testing.B) {
	k, err := ReadKallsyms(bytes.NewReader(kallsymsOfHost(b)), nil)
	if err != nil {
		roottest.Lacks(b, err.Error())
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		k.Name(k.starts[i])
		if i += 7919; i >= len(k.starts) {
			i %= len(k.starts)
		}
	}
	b.ReportMetric(float64(k.Bytes())/float64(k.Symbols()), "B/function")
}

func BenchmarkReadKallsyms(b *testing.B) {
	data := kallsymsOfHost(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadKallsyms(bytes.NewReader(data), nil); err != nil {
			roottest.Lacks(b, err.Error())
		}
	}
}
