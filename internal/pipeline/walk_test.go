// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// walked is a process that executes /bin/x, mapped at 0x10000.
var walked = event.ProcID{PID: 7, Start: 70_000_000}

func startWalked(t *testing.T) *Pipeline {
	t.Helper()
	p := New(Settings{Start: start, Interval: 1_000_000_000, MaxHoldBytes: 1 << 20, MaxProcesses: 100, MaxSymbolBytes: 1 << 20, Walk: true, Inline: true})
	p.Batch(&event.Batch{
		Lifecycle: []event.Lifecycle{
			{Kind: event.Fork, KTime: 1010 * ms, Proc: walked},
			{Kind: event.Exec, KTime: 1020 * ms, Proc: walked, Generation: 1},
		},
		Mapped: []event.Mapped{mappedAt(1030*ms, 0x10000, 0x20000, "/bin/x")},
	})
	return p
}

func mappedAt(k event.KTime, from, to uint64, path string) event.Mapped {
	return event.Mapped{KTime: k, PID: 7, Mapping: event.Mapping{Start: from, End: to, Path: path, BuildID: path}}
}

func hitWalked(p *Pipeline, k event.KTime) {
	s := sample(k, 7, 0x10010)
	s.Proc, s.Generation = walked, 1
	p.Batch(batch(s))
	p.Complete(k)
}

// The memory of a process is published when it has been sampled, and when it or what
// is known of its files changes, and only then.
func TestTheMemoryOfSampledProcessesIsPublished(t *testing.T) {
	p := startWalked(t)
	p.Complete(1050 * ms)
	spaces, over := p.Walks()
	require.Empty(t, spaces, "it was not sampled")
	require.Empty(t, over)

	hitWalked(p, 1100*ms)
	spaces, _ = p.Walks()
	bare := []unwind.Region{{Start: 0x10000, End: 0x20000}}
	require.Equal(t, []unwind.Space{{Proc: walked, Generation: 1, Regions: bare}}, spaces)
	requests := p.FileRequests(9)
	require.Len(t, requests, 1)
	require.False(t, requests[0].Placed)

	hitWalked(p, 1200*ms)
	spaces, _ = p.Walks()
	require.Empty(t, spaces, "nothing has changed")

	// Its file is no ELF file here, so it has no segment and lies where it says.
	p.Loaded(FileAnswer{ID: requests[0].ID, File: file("x"), Pieces: []unwind.Piece{{From: 0x10000, To: 0x18000, Rows: 5}}})
	p.Complete(1300 * ms)
	spaces, _ = p.Walks()
	require.Len(t, spaces, 1)
	require.Equal(t, []unwind.Region{{Start: 0x10000, End: 0x18000, Rows: 5}, {Start: 0x18000, End: 0x20000}}, spaces[0].Regions)

	p.Batch(&event.Batch{Mapped: []event.Mapped{mappedAt(1350*ms, 0x30000, 0x40000, "/lib/y")}})
	hitWalked(p, 1400*ms)
	spaces, _ = p.Walks()
	require.Len(t, spaces, 1)
	require.Len(t, spaces[0].Regions, 3)
	requests = p.FileRequests(9)
	require.Len(t, requests, 1)
	p.Loaded(FileAnswer{ID: requests[0].ID}) // it cannot be read
	p.Complete(1500 * ms)
	spaces, _ = p.Walks()
	require.Empty(t, spaces, "that is no news")
	require.Empty(t, p.FileRequests(9))
}

func TestAnImageThatIsOverIsWithdrawn(t *testing.T) {
	p := startWalked(t)
	hitWalked(p, 1100*ms)
	p.Walks()
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{
		{Kind: event.Exit, KTime: 1150 * ms, Proc: walked}, {Kind: event.Free, KTime: 1160 * ms, Proc: walked},
	}})
	p.Complete(1200 * ms)
	spaces, over := p.Walks()
	require.Empty(t, spaces)
	require.Equal(t, []unwind.Space{{Proc: walked, Generation: 1}}, over)
	require.Empty(t, p.walk.published)
}

// Who waited for a file that another process could not show gets it later.
func TestAFileThatCouldNotBeReadIsAskedForAgain(t *testing.T) {
	p := startWalked(t)
	hitWalked(p, 1100*ms)
	requests := p.FileRequests(9)
	require.Len(t, requests, 1)
	p.Loaded(FileAnswer{ID: requests[0].ID})
	p.Walks()
	hitWalked(p, 1900*ms)
	require.Empty(t, p.FileRequests(9), "once in a window")
	hitWalked(p, 2100*ms)
	hitWalked(p, 2200*ms)
	requests = p.FileRequests(9)
	require.Len(t, requests, 1)
	p.Loaded(FileAnswer{ID: requests[0].ID, File: file("x"), Pieces: []unwind.Piece{{From: 0x10000, To: 0x20000, Rows: 5}}})
	p.Walks()
	p.Complete(2300 * ms)
	spaces, _ := p.Walks()
	require.Len(t, spaces, 1)
	require.EqualValues(t, 5, spaces[0].Regions[0].Rows)
}

// A file that arrives late does not bring the image before an exec back, and one that
// is superseded in the round of its first sample is not published at all.
func TestOnlyTheImageThatRunsIsPublished(t *testing.T) {
	p := startWalked(t)
	hitWalked(p, 1100*ms)
	p.Walks()
	requests := p.FileRequests(9)
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{{Kind: event.Exec, KTime: 1150 * ms, Proc: walked, Generation: 2}}})
	p.Complete(1155 * ms)
	p.Loaded(FileAnswer{ID: requests[0].ID, File: file("x"), Pieces: []unwind.Piece{{From: 0x10000, To: 0x20000, Rows: 5}}})
	p.Complete(1158 * ms)
	spaces, over := p.Walks()
	require.Empty(t, spaces)
	require.Empty(t, over)
	p.Complete(1200 * ms)
	spaces, over = p.Walks()
	require.Empty(t, spaces)
	require.Equal(t, []unwind.Space{{Proc: walked, Generation: 1}}, over)

	p = startWalked(t)
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{{Kind: event.Exec, KTime: 1150 * ms, Proc: walked, Generation: 2}}})
	s := sample(1100*ms, 7, 0x10010)
	s.Proc, s.Generation = walked, 1
	p.Batch(batch(s))
	p.Complete(1200 * ms)
	spaces, over = p.Walks()
	require.Empty(t, spaces)
	require.Empty(t, over)
	require.Empty(t, p.walk.waiting)
}

// Two segments may share a page of the file, which both mappings then show.
func TestBias(t *testing.T) {
	p := placed{segments: []symbol.Segment{
		{Address: 0x401000, Size: 0x1500, Offset: 0x1000}, {Address: 0x403500, Size: 0x3000, Offset: 0x2500},
	}}
	for _, base := range []uint64{0, 0x7f0000000000} {
		require.Equal(t, base, p.bias(&event.Mapping{Start: base + 0x401000, End: base + 0x403000, Offset: 0x1000}))
		require.Equal(t, base, p.bias(&event.Mapping{Start: base + 0x403000, End: base + 0x407000, Offset: 0x2000}))
		require.Equal(t, base, p.bias(&event.Mapping{Start: base + 0x404000, End: base + 0x407000, Offset: 0x3000}), "a part")
	}
}

// A call may be the last instruction of what is mapped: its return address lies behind.
func TestACallerIsWhereItsCallIs(t *testing.T) {
	p := startWalked(t)
	s := sample(1100*ms, 7, 0x10010, 0x20000)
	s.Proc, s.Generation = walked, 1
	p.Batch(batch(s))
	closed := p.Flush(1200 * ms)
	require.Len(t, closed, 1)
	for b := range closed[0].Batches(profile.Settings{Period: 1, MaxBatchBytes: 1 << 20}, closed[0]) {
		d, addresses := b.Profiles.Dictionary(), []uint64{}
		for _, l := range d.LocationTable().All() {
			if d.StringTable().At(int(d.MappingTable().At(int(l.MappingIndex())).FilenameStrindex())) == "/bin/x" {
				addresses = append(addresses, l.Address())
			}
		}
		require.Equal(t, []uint64{0x10, 0xffff}, addresses)
	}
}

func TestNothingIsPublishedWhereTheKernelCannotWalk(t *testing.T) {
	p := startWalked(t)
	p.walk.on = false
	hitWalked(p, 1100*ms)
	spaces, over := p.Walks()
	require.Empty(t, spaces)
	require.Empty(t, over)
}
