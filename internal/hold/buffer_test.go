// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package hold

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

func frames(first uint64, n int) []uint64 {
	f := make([]uint64, n)
	for i := range f {
		f[i] = first + uint64(i)
	}
	return f
}

// own copies a sample, as a yielded one is only lent.
func own(s *event.Sample) event.Sample {
	c := *s
	c.Kernel = append([]uint64{}, s.Kernel...)
	c.User = append([]uint64{}, s.User...)
	return c
}

// A buffer behaves like a slice that is filtered, up to its limit.
func TestLikeASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := New(rapid.IntRange(0, 20).Draw(t, "chunks") * chunkBytes)
		depth := rapid.SampledFrom([]int{0, 5, 40, 300, chunkFrames}).Draw(t, "depth")
		var naive []event.Sample
		id := uint32(0)
		for range rapid.IntRange(1, 12).Draw(t, "rounds") {
			for range rapid.IntRange(0, 400).Draw(t, "adds") {
				id++
				k := int(id*2654435761) & 0xffff
				s := event.Sample{TID: id, KTime: event.KTime(id*40503) % 1000,
					Kernel: frames(uint64(id)<<32, k%(depth+1)), User: frames(uint64(id)<<40, (k/7)%(depth+1))}
				if len(s.Kernel)+len(s.User) > chunkFrames {
					require.False(t, b.Add(s), "larger than a chunk")
					continue
				}
				if b.Add(s) {
					naive = append(naive, own(&s))
					continue
				}
				require.GreaterOrEqual(t, b.Bytes(), b.limit*chunkBytes, "refused before the limit")
			}
			until := event.KTime(rapid.IntRange(0, 1100).Draw(t, "until"))
			var want, rest, got []event.Sample
			for _, s := range naive {
				if s.KTime <= until {
					want = append(want, s)
				} else {
					rest = append(rest, s)
				}
			}
			b.Release(until, func(s *event.Sample) { got = append(got, own(s)) })
			require.Equal(t, want, got)
			require.Equal(t, len(rest), b.Len())
			require.LessOrEqual(t, b.Bytes(), b.limit*chunkBytes)
			naive = rest
		}
	})
}

func TestFullThenRoomAgain(t *testing.T) {
	b := New(1)
	n := 0
	for b.Add(event.Sample{KTime: event.KTime(n)}) {
		n++
	}
	require.Equal(t, chunkSamples, n)
	b.Release(9, func(*event.Sample) {})
	require.Equal(t, n-10, b.Len())
	for range 10 {
		require.True(t, b.Add(event.Sample{KTime: 1}))
	}
	require.False(t, b.Add(event.Sample{KTime: 1}))
}

func TestShrinksAfterABurst(t *testing.T) {
	b := New(64 << 20)
	for range 50_000 {
		require.True(t, b.Add(event.Sample{User: make([]uint64, 50)}))
	}
	require.Greater(t, b.Bytes(), 20<<20)
	for range 3 * trimEvery {
		b.Add(event.Sample{})
		b.Release(0, func(*event.Sample) {})
	}
	require.Equal(t, chunkBytes, b.Bytes())
}

func BenchmarkSteady(b *testing.B) {
	buf := New(8 << 20)
	s := event.Sample{Kernel: frames(1, 10), User: frames(100, 30)}
	sum := uint64(0)
	yield := func(s *event.Sample) { sum += s.User[0] }
	b.ReportAllocs()
	now := event.KTime(0)
	for b.Loop() {
		for range 1000 {
			now++
			s.KTime = now
			buf.Add(s)
		}
		buf.Release(now-500, yield)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
}
