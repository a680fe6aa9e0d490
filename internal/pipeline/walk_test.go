// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// walked is a process that executes /bin/x, mapped at 0x10000.
var walked = event.ProcID{PID: 7, Start: 70_000_000}

func startWalked(t *testing.T) *Pipeline {
	t.Helper()
	p := New(Settings{Start: start, Interval: 1_000_000_000, MaxHoldBytes: 1 << 20, MaxProcesses: 100, MaxSymbolBytes: 1 << 20, Inline: true})
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

// load answers the request for the one file that is wanted.
func load(t *testing.T, p *Pipeline) {
	t.Helper()
	requests := p.FileRequests(9)
	require.Len(t, requests, 1)
	p.Loaded(FileAnswer{ID: requests[0].ID, File: file("x"), Pieces: []unwind.Piece{pieceOfX}})
}

func hitWalked(p *Pipeline, k event.KTime) {
	s := sample(k, 7, 0x10010)
	s.Proc, s.Generation = walked, 1
	p.Batch(batch(s))
	p.Complete(k)
}

// The memory of a process is published when it has been sampled and its tables are
// there, and when it changes, and only then.
func TestTheMemoryOfSampledProcessesIsPublished(t *testing.T) {
	p := startWalked(t)
	p.Complete(1050 * ms)
	walks := p.Walks()
	require.Empty(t, walks.Spaces, "it was not sampled")
	require.Empty(t, walks.Over)

	hitWalked(p, 1100*ms)
	walks = p.Walks()
	require.Empty(t, walks.Spaces, "its table is on its way")
	requests := p.FileRequests(9)
	require.Len(t, requests, 1)
	require.False(t, requests[0].Placed)

	// Its file is no ELF file here, so it has no segment and lies where it says.
	p.Loaded(FileAnswer{ID: requests[0].ID, File: file("x"), Pieces: []unwind.Piece{{From: 0x10000, To: 0x18000, Rows: 5}}})
	walks = p.Walks()
	want := []unwind.Region{{Start: 0x10000, End: 0x18000, Rows: 5}, {Start: 0x18000, End: 0x20000}}
	require.Equal(t, []unwind.Space{{Proc: walked, Generation: 1, Regions: want}}, walks.Spaces)

	hitWalked(p, 1200*ms)
	walks = p.Walks()
	require.Empty(t, walks.Spaces, "nothing has changed")

	p.Batch(&event.Batch{Mapped: []event.Mapped{mappedAt(1350*ms, 0x30000, 0x40000, "/lib/y")}})
	hitWalked(p, 1400*ms)
	walks = p.Walks()
	require.Empty(t, walks.Spaces)
	require.Equal(t, []unwind.Space{{Proc: walked, Generation: 1}}, walks.Over, "its stacks are copied meanwhile")
	requests = p.FileRequests(9)
	require.Len(t, requests, 1)
	p.Loaded(FileAnswer{ID: requests[0].ID}) // it cannot be read
	walks = p.Walks()
	require.Len(t, walks.Spaces, 1)
	require.Equal(t, append(want, unwind.Region{Start: 0x30000, End: 0x40000}), walks.Spaces[0].Regions)
	p.Complete(1500 * ms)
	walks = p.Walks()
	require.Empty(t, walks.Spaces)
	require.Empty(t, p.FileRequests(9))
}

func TestAnImageThatIsOverIsWithdrawn(t *testing.T) {
	p := startWalked(t)
	hitWalked(p, 1100*ms)
	load(t, p)
	p.Walks()
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{
		{Kind: event.Exit, KTime: 1150 * ms, Proc: walked}, {Kind: event.Free, KTime: 1160 * ms, Proc: walked},
	}})
	p.Complete(1200 * ms)
	walks := p.Walks()
	require.Empty(t, walks.Spaces)
	require.Equal(t, []unwind.Space{{Proc: walked, Generation: 1}}, walks.Over)
	require.Empty(t, p.walk.published)
	require.Empty(t, p.walk.bases)
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
	p.Walks()
	load(t, p)
	walks := p.Walks()
	require.Len(t, walks.Spaces, 1)
	require.EqualValues(t, 5, walks.Spaces[0].Regions[0].Rows)
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
	p.Loaded(FileAnswer{ID: requests[0].ID, File: file("x"), Pieces: []unwind.Piece{pieceOfX}})
	p.Complete(1200 * ms)
	walks := p.Walks()
	require.Empty(t, walks.Spaces)
	require.Empty(t, walks.Over)

	p = startWalked(t)
	hitWalked(p, 1100*ms)
	load(t, p)
	p.Walks()
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{{Kind: event.Exec, KTime: 1150 * ms, Proc: walked, Generation: 2}}})
	p.Complete(1200 * ms)
	walks = p.Walks()
	require.Empty(t, walks.Spaces)
	require.Equal(t, []unwind.Space{{Proc: walked, Generation: 1}}, walks.Over)

	p = startWalked(t)
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{{Kind: event.Exec, KTime: 1150 * ms, Proc: walked, Generation: 2}}})
	s := sample(1100*ms, 7, 0x10010)
	s.Proc, s.Generation = walked, 1
	p.Batch(batch(s))
	p.Complete(1200 * ms)
	walks = p.Walks()
	require.Empty(t, walks.Spaces)
	require.Empty(t, walks.Over)
	require.Empty(t, p.walk.waiting)
}

// A stack that the sampler walked by tables of code that has been replaced ends where it may
// be wrong. What was mapped when the sampler was told, and what it was told last, counts.
func TestAStackThroughReplacedCodeIsCut(t *testing.T) {
	p := startWalked(t)
	hitWalked(p, 1100*ms)
	load(t, p)
	require.Len(t, p.Walks().Spaces, 1)
	p.WalksTold(1150 * ms)
	walkedAt := func(k event.KTime, user ...uint64) event.Sample {
		s := sample(k, 7, user...)
		s.Proc, s.Generation, s.UserStack = walked, 1, event.UserComplete
		return s
	}
	ends := func(samples ...event.Sample) (complete, unmapped uint64) {
		before := p.Stats().Stacks
		p.Batch(batch(samples...))
		p.Complete(samples[len(samples)-1].KTime)
		after := p.Stats().Stacks
		return after[event.UserComplete] - before[event.UserComplete], after[event.UserUnmapped] - before[event.UserUnmapped]
	}
	p.Batch(&event.Batch{Mapped: []event.Mapped{mappedAt(1250*ms, 0x12000, 0x13000, "/lib/y")}})
	complete, unmapped := ends(
		walkedAt(1240*ms, 0x10010, 0x12010, 0x11010), // before
		walkedAt(1260*ms, 0x10010, 0x11010),          // elsewhere
		walkedAt(1270*ms, 0x10010, 0x12010),          // there, but no step depends on it
		walkedAt(1280*ms, 0x10010, 0x12010, 0x11010),
		walkedAt(1290*ms, 0x12010, 0x11010),
	)
	require.EqualValues(t, 3, complete)
	require.EqualValues(t, 2, unmapped)

	requests := p.FileRequests(9)
	require.Len(t, requests, 1)
	p.Loaded(FileAnswer{ID: requests[0].ID, File: file("y"), Pieces: []unwind.Piece{{From: 0x12000, To: 0x13000, Rows: 9}}})
	require.Len(t, p.Walks().Spaces, 1)
	p.WalksTold(1350 * ms)
	complete, unmapped = ends(walkedAt(1340*ms, 0x10010, 0x12010, 0x11010), walkedAt(1360*ms, 0x10010, 0x12010, 0x11010))
	require.EqualValues(t, 1, complete, "the sampler knew")
	require.EqualValues(t, 1, unmapped)

	p.Batch(&event.Batch{Mapped: []event.Mapped{mappedAt(1450*ms, 0x12000, 0x13000, "/lib/z")}})
	followed := walkedAt(1460*ms, 0x10010, 0x12010, 0x11010)
	followed.UserStack = event.UserTaken
	ends(followed)
	require.EqualValues(t, 2, p.Stats().Stacks[event.UserTaken], "no tables led")
}

// What is announced while the sampler has not been told of what was before does not count.
func TestWhatStacksAreWalkedBy(t *testing.T) {
	w := newWalk(newCode(1 << 20))
	w.until = 10
	w.announce(life)
	require.EqualValues(t, 10, w.bases[life].at(5), "only what comes is walked by tables")
	w.told(12)
	w.until = 20
	w.announce(life)
	w.until = 30
	w.announce(life)
	require.EqualValues(t, 10, w.bases[life].at(1000))
	w.told(35)
	require.EqualValues(t, 10, w.bases[life].at(34))
	require.EqualValues(t, 30, w.bases[life].at(35))
}
