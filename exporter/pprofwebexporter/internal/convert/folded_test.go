// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/profiletest"
)

func TestFoldedTextHasALinePerStack(t *testing.T) {
	unnamed := profiletest.Sample{Timestamps: 1, Frames: []profiletest.Frame{
		{Address: 1, Mapping: profiletest.Mapping{File: "/lib/libc.so.6"}}, {Address: 2},
	}}
	nobody := profiletest.CPU("", 0, 1, profiletest.Stack(1, "lost"))
	nobody.Attributes = nil
	p := build(t, cpu, profiletest.Build(
		profiletest.CPU("a", 1, 1, profiletest.Stack(2, "f", "main"), profiletest.Stack(1, "std::vector<int; 3>\n 99", "main"), unnamed),
		profiletest.CPU("a", 2, 1, profiletest.Stack(3, "f", "main")), nobody))
	var out strings.Builder

	convert.Name(p)
	require.NoError(t, convert.WriteFolded(&out, p))

	assert.Equal(t, `[unknown process];lost 10000000
a;[unknown];[libc.so.6] 10000000
a;main;f 50000000
a;main;std::vector<int: 3>  99 10000000
`, out.String())
	require.NoError(t, p.CheckValid())
}

func TestSumsDoNotWrap(t *testing.T) {
	assert.EqualValues(t, math.MaxInt64, convert.Add(math.MaxInt64, 1))
	assert.EqualValues(t, math.MinInt64, convert.Add(math.MinInt64, -1))
	assert.EqualValues(t, -1, convert.Add(math.MaxInt64, math.MinInt64))
	assert.EqualValues(t, 0, convert.Add(math.MinInt64+1, math.MaxInt64))
	for _, test := range []struct{ count, period, want int64 }{
		{3, 5, 15},
		{-3, 5, -15},
		{0, math.MinInt64, 0},
		{1 << 40, 1 << 40, math.MaxInt64},
		{-1 << 40, 1 << 40, math.MinInt64},
		{math.MinInt64, -1, math.MaxInt64},
		{-1, math.MinInt64, math.MaxInt64},
		{math.MinInt64, 1, math.MinInt64},
	} {
		assert.Equal(t, test.want, cpu.Value(test.count, test.period), "%d x %d", test.count, test.period)
	}
}
