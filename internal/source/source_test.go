// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

func TestParseCPUs(t *testing.T) {
	for list, want := range map[string][]int{
		"0\n":     {0},
		"0-3\n":   {0, 1, 2, 3},
		"0,2-3,7": {0, 2, 3, 7},
	} {
		got, err := ParseCPUs(list)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, list := range []string{"", "x", "3-1", "-1", "0-9999999"} {
		_, err := ParseCPUs(list)
		require.ErrorContains(t, err, "parse CPU list", list)
	}
}

func TestRingSize(t *testing.T) {
	s := Settings{PollInterval: 250 * time.Millisecond}
	for hz, want := range map[int]int{1: 256 << 10, 19: 256 << 10, 997: 4 << 20, 4999: 16 << 20, 10000: 32 << 20} {
		s.SamplesPerSecond = hz
		size := s.ringSize()
		require.LessOrEqual(t, size, want, "%d Hz", hz)
		require.GreaterOrEqual(t, float64(size), min(float64(hz)*0.5*deepRecord, maxRingSize), "%d Hz", hz)
		require.GreaterOrEqual(t, float64(size), min(0.5*float64(hz*deepRecord+s.CopiesPerSecond()), maxRingSize), "%d Hz", hz)
		require.Zero(t, size&(size-1), "a power of two")
	}
	s.RingBufferSize = 4096
	require.Equal(t, 4096, s.ringSize())
	require.Zero(t, s.CopiesPerSecond(), "none would fit")
	s.RingBufferSize, s.SamplesPerSecond = minRingSize, 997
	require.Equal(t, 2<<20, s.CopiesPerSecond())
	s.SamplesPerSecond = 10
	require.Equal(t, 10*maxCopy, s.CopiesPerSecond())
}

// A batch is handed on before it grows large, by samples or by what they copied.
func TestBatchesAreBounded(t *testing.T) {
	require.False(t, full(&event.Batch{Samples: make([]event.Sample, BatchSamples-1), Frames: make([]uint64, batchFrames-1)}))
	require.True(t, full(&event.Batch{Samples: make([]event.Sample, BatchSamples)}))
	require.True(t, full(&event.Batch{Frames: make([]uint64, batchFrames)}))
}
