// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

func testOwner(pid uint32) *Owner {
	return &Owner{PID: pid, Attributes: []Attribute{
		IntAttribute("process.pid", int64(pid)),
		StringAttribute("process.executable.name", "burner"),
		StringAttribute("process.executable.path", "/usr/bin/burner"),
		StringAttribute("process.creation.time", fmt.Sprintf("2026-01-01T00:00:00.%09dZ", pid)),
		StringAttribute("container.id", strings.Repeat("c", 64)),
	}}
}

// manyOwners is a window with one sample of each of n processes.
func manyOwners(n int) *Window {
	w := NewWindow(windowStart, windowEnd)
	for i := range n {
		w.Add(testOwner(uint32(i+1)), thread("main"), windowEnd, testStack(i%100, 40))
	}
	return w
}

// manyStacks is a window with n distinct stacks of one process.
func manyStacks(n int) *Window {
	w, owner := NewWindow(windowStart, windowEnd), testOwner(1)
	for i := range n {
		w.Add(owner, thread("main"), windowEnd, testStack(i, 60))
	}
	return w
}

// testStack returns a stack whose number decides the innermost frame, and which
// shares the outer ones with its neighbours.
func testStack(number, depth int) []Frame {
	stack := make([]Frame, depth)
	for i := range stack {
		stack[i] = Frame{Binary: 1, Offset: uint64(8 * (i + number/50*depth))}
	}
	stack[0].Offset = uint64(1_000_000 + 8*number)
	return stack
}

func TestBatchesOfAnEmptyWindow(t *testing.T) {
	require.Empty(t, collect(NewWindow(1, 2), testSettings, fakeResolver{}))
}

// TestBatchesAreFull holds the estimate against the real size: below the limit,
// and not by much.
func TestBatchesAreFull(t *testing.T) {
	for name, w := range map[string]*Window{"owners": manyOwners(10_000), "stacks": manyStacks(10_000)} {
		t.Run(name, func(t *testing.T) {
			s := testSettings
			s.MaxBatchBytes = 256 << 10
			batches := collect(w, s, fakeResolver{})
			require.Greater(t, len(batches), 2)
			var samples uint64
			for i, b := range batches {
				size := encodedSize(t, b.Profiles)
				assert.LessOrEqual(t, size, s.MaxBatchBytes)
				if i < len(batches)-1 {
					assert.Greater(t, size, s.MaxBatchBytes*95/100)
				}
				requireConformant(t, b)
				samples += b.Samples
			}
			assert.Equal(t, w.Samples(), samples)
		})
	}
}

func TestOneSampleWithManyTimestampsIsSplit(t *testing.T) {
	w, owner := NewWindow(windowStart, windowEnd), testOwner(1)
	for i := range 10_000 {
		w.Add(owner, thread("main"), windowEnd-event.KTime(i), testStack(1, 3))
	}
	s := testSettings
	s.MaxBatchBytes = 40_000
	batches := collect(w, s, fakeResolver{})
	require.Len(t, batches, 3)
	var last uint64
	for _, b := range batches {
		requireConformant(t, b)
		require.LessOrEqual(t, encodedSize(t, b.Profiles), s.MaxBatchBytes)
		profile := b.Profiles.ResourceProfiles().At(0).ScopeProfiles().At(0).Profiles().At(0)
		require.Equal(t, 1, profile.Samples().Len())
		times := profile.Samples().At(0).TimestampsUnixNano()
		require.EqualValues(t, b.Samples, times.Len())
		require.Greater(t, times.At(0), last, "the batches follow each other in time")
		last = times.At(times.Len() - 1)
	}
}

// TestASampleIsNotSplitWithoutNeed: what does not fit into the rest of a batch
// but into one of its own stays whole.
func TestASampleIsNotSplitWithoutNeed(t *testing.T) {
	w, owner := NewWindow(windowStart, windowEnd), testOwner(1)
	for i := range 2000 {
		w.Add(owner, thread("main"), windowEnd-event.KTime(i), testStack(i%2, 3))
	}
	s := testSettings
	s.MaxBatchBytes = 12_000
	batches := collect(w, s, fakeResolver{})
	require.Len(t, batches, 2)
	require.EqualValues(t, 1000, batches[0].Samples)
	require.EqualValues(t, 1000, batches[1].Samples)
}

func TestHopelessLimitMakesProgress(t *testing.T) {
	w, owner := NewWindow(windowStart, windowEnd), testOwner(1)
	for i := range 5 {
		w.Add(owner, thread("main"), windowEnd-event.KTime(i), testStack(i%2, 3))
	}
	s := testSettings
	s.MaxBatchBytes = 1
	batches := collect(w, s, fakeResolver{})
	require.Len(t, batches, 5)
	for _, b := range batches {
		require.EqualValues(t, 1, b.Samples)
		requireConformant(t, b)
	}
}

func TestBatchesCanBeAbandoned(t *testing.T) {
	s := testSettings
	s.MaxBatchBytes = 1
	n := 0
	for range manyOwners(5).Batches(s, fakeResolver{}) {
		if n++; n == 2 {
			break
		}
	}
	require.Equal(t, 2, n)
}

func TestBatchCountsWhatItCouldNotName(t *testing.T) {
	w := NewWindow(windowStart, windowEnd)
	w.Add(testOwner(1), Labels{}, windowEnd, []Frame{{Binary: 0, Offset: 0}, {Binary: 1, Offset: 2}, {Binary: 2, Offset: 8}})
	batches := collect(w, testSettings, fakeResolver{})
	require.Len(t, batches, 1)
	require.Equal(t, 2, batches[0].UnnamedLocations)
	require.Equal(t, 1, batches[0].UnidentifiedMappings, "lib2, not the kernel")
}

// TestTheWindowsEdges: the first and the last moment of a window are inside the
// profile, and its neighbours begin where it ends.
func TestTheWindowsEdges(t *testing.T) {
	w := NewWindow(1000, 2000)
	w.Add(testOwner(1), Labels{}, 1001, nil)
	w.Add(testOwner(1), Labels{}, 2000, nil)
	b := collect(w, testSettings, fakeResolver{})[0]
	requireConformant(t, b)
	p := b.Profiles.ResourceProfiles().At(0).ScopeProfiles().At(0).Profiles().At(0)
	require.EqualValues(t, testSettings.WallOffset+1001, p.Time())
	require.EqualValues(t, 1000, p.DurationNano())
	require.EqualValues(t, testSettings.Period, p.Period())
}

func TestSamplesOutsideTheWindowAreKept(t *testing.T) {
	w := NewWindow(1000, 2000)
	w.Add(testOwner(1), Labels{}, 900, nil)
	w.Add(testOwner(1), Labels{}, 2100, nil)
	require.EqualValues(t, 900, w.Oldest())
	b := collect(w, testSettings, fakeResolver{})[0]
	require.EqualValues(t, 2, b.Samples)
	requireConformant(t, b)
}

// halfRead knows the same of two binaries, of which one is still being read.
type halfRead struct{}

func (halfRead) Resolve(f Frame) Location {
	return Location{Address: f.Offset, FrameType: "native", Pending: f.Binary == 1}
}

func TestALocationIsThereOnce(t *testing.T) {
	w := NewWindow(windowStart, windowEnd)
	w.Add(testOwner(1), Labels{}, windowEnd, []Frame{{Binary: 1, Offset: 8}, {Binary: 2, Offset: 8}})
	batches := collect(w, testSettings, halfRead{})
	require.Len(t, batches, 1)
	requireConformant(t, batches[0])
	require.Equal(t, 2, batches[0].Profiles.Dictionary().LocationTable().Len(), "and the one that is not set")
	require.Equal(t, 1, batches[0].PendingLocations)
}

// A location of a sample that did not fit is not of the batch.
func TestBatchesCountTheirOwnPendingLocations(t *testing.T) {
	w := NewWindow(windowStart, windowEnd)
	for i := range uint64(50) {
		w.Add(testOwner(1), Labels{}, windowEnd, []Frame{{Binary: 1, Offset: 2 * i}, {Binary: 1, Offset: 2*i + 1}})
	}
	s := testSettings
	s.MaxBatchBytes = 1000
	batches := collect(w, s, halfRead{})
	require.Greater(t, len(batches), 5)
	for _, b := range batches {
		require.Equal(t, b.Profiles.Dictionary().LocationTable().Len()-1, b.PendingLocations)
	}
}
