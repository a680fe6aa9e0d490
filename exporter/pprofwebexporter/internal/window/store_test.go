// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package window_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/profiletest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/window"
)

func batch(t require.TestingT, profiles ...profiletest.Profile) *window.Batch {
	b, err := window.NewBatch(profiletest.Build(profiles...), time.Unix(77, 0))
	require.NoError(t, err)
	return b
}

func starts(windows []window.Window) []int64 {
	var out []int64
	for _, w := range windows {
		out = append(out, w.Start)
	}
	return out
}

// held is the bytes of a store with just this batch.
func held(t require.TestingT, b *window.Batch) int64 {
	s := window.NewStore(window.Limits{Windows: 1, Bytes: 1 << 30})
	_, _, err := s.Add(b)
	require.NoError(t, err)
	_, bytes := s.Held()
	return bytes
}

func TestBatchesOfOneMomentAreOneWindow(t *testing.T) {
	s := window.NewStore(window.Limits{Windows: 2, Bytes: 1 << 20})
	for _, start := range []int64{100, 200, 100} {
		byWindows, byBytes, err := s.Add(batch(t, profiletest.CPU("a", 1, start, profiletest.Stack(1, "f"))))
		require.NoError(t, err)
		require.Zero(t, byWindows)
		require.Zero(t, byBytes)
	}

	windows := s.Windows()

	require.Equal(t, []int64{100, 200}, starts(windows))
	assert.Len(t, windows[0].Batches, 2)
	assert.EqualValues(t, 100+5*profiletest.Second, windows[0].End)
}

func TestTheOldestWindowGivesWay(t *testing.T) {
	s := window.NewStore(window.Limits{Windows: 2, Bytes: 1 << 20})
	// The second claims to be from the future, which must not keep it for ever.
	for _, start := range []int64{100, 1 << 60, 200} {
		_, _, err := s.Add(batch(t, profiletest.CPU("a", 1, start, profiletest.Stack(1, "f"), profiletest.Stack(1, "g"))))
		require.NoError(t, err)
	}
	require.Equal(t, []int64{200, 1 << 60}, starts(s.Windows()), "by time")

	byWindows, byBytes, err := s.Add(batch(t, profiletest.CPU("a", 1, 300)))

	require.NoError(t, err)
	assert.Equal(t, window.Dropped{Windows: 1, Samples: 2}, byWindows)
	assert.Zero(t, byBytes)
	assert.Equal(t, []int64{200, 300}, starts(s.Windows()))
}

func TestWhatFitsNowhereIsAnError(t *testing.T) {
	b := batch(t, profiletest.CPU("a", 1, 100, profiletest.Stack(1, "f")))
	size := held(t, b)

	_, _, err := window.NewStore(window.Limits{Windows: 9, Bytes: size}).Add(b)
	require.NoError(t, err)

	_, _, err = window.NewStore(window.Limits{Windows: 9, Bytes: size - 1}).Add(b)
	require.ErrorContains(t, err, "more than all windows may: max_bytes is")
}

func TestAStoreKeepsItsLimitsAndCountsWhatItDrops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := window.Limits{
			Windows: rapid.IntRange(1, 5).Draw(t, "windows"),
			Bytes:   rapid.Int64Range(1, 20_000).Draw(t, "bytes"),
		}
		s := window.NewStore(limits)
		var added, dropped int
		for range rapid.IntRange(1, 30).Draw(t, "batches") {
			samples := make([]profiletest.Sample, rapid.IntRange(0, 20).Draw(t, "samples"))
			b := batch(t, profiletest.CPU("a", 1, rapid.Int64Range(1, 8).Draw(t, "start"), samples...))
			byWindows, byBytes, err := s.Add(b)
			if err != nil {
				require.Greater(t, held(t, b), limits.Bytes)
				continue
			}
			added += len(samples)
			dropped += byWindows.Samples + byBytes.Samples

			windows, bytes := s.Held()
			require.LessOrEqual(t, windows, limits.Windows)
			require.LessOrEqual(t, bytes, limits.Bytes)
			all := s.Windows()
			require.Len(t, all, windows)
			require.True(t, slices.IsSorted(starts(all)))
			require.Contains(t, starts(all), b.Start, "the newest is there")
			var samplesHeld int
			var bytesHeld int64
			for _, w := range all {
				for _, b := range w.Batches {
					samplesHeld += b.Samples
					bytesHeld += held(t, b)
				}
			}
			require.Equal(t, added, samplesHeld+dropped)
			require.Equal(t, bytesHeld, bytes)
		}
	})
}

func TestReadersAndWritersAtOnce(t *testing.T) {
	s := window.NewStore(window.Limits{Windows: 3, Bytes: 1 << 20})
	var wg sync.WaitGroup
	for writer := range 2 {
		wg.Go(func() {
			for i := range 200 {
				_, _, err := s.Add(batch(t, profiletest.CPU("a", writer, int64(1+i/4), profiletest.Stack(1, "f"))))
				assert.NoError(t, err)
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			selected, err := window.Select(window.Choice{}, s.Windows())
			assert.NoError(t, err)
			if selected != nil {
				assert.NoError(t, selected.Profile.CheckValid())
			}
		}
	})
	wg.Wait()
}
