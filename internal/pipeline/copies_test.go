// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// startCopied is a process whose code in [0x10000, 0x18000) has frames of two words.
func startCopied(t *testing.T) *Pipeline {
	p := startWalked(t)
	p.copies = twoWords(t, p)
	return p
}

func twoWords(t *testing.T, p *Pipeline) *copies {
	return newCopies(p.code, func(p unwind.Piece, offset uint32) unwind.Rule {
		require.EqualValues(t, 5, p.Rows)
		return unwind.Rule{CFA: unwind.CFASP, CFAOffset: 16, FP: unwind.Same, RA: unwind.AtCFA, RAOffset: -8}
	}, 1<<20)
}

// copiedAt is a sample of it, in a function that was called from 0x10020, that from
// 0x10030, and that from nowhere.
func copiedAt(k event.KTime) event.Sample {
	s := sample(k, 7, 0x10010, 0x7ff0, 0, 0, 1, 0x10021, 2, 0x10031, 3, 0)
	s.Proc, s.Generation, s.UserStack = walked, 1, event.UserCopied
	return s
}

// addresses of the user frames of all stacks of a window.
func addresses(t *testing.T, w *Window) (out []uint64) {
	t.Helper()
	for b := range w.Batches(profile.Settings{Period: 1, MaxBatchBytes: 1 << 20}, w) {
		d := b.Profiles.Dictionary()
		for _, s := range d.StackTable().All() {
			for _, i := range s.LocationIndices().All() {
				if l := d.LocationTable().At(int(i)); l.Address() < 1<<32 { // else the kernel's
					out = append(out, l.Address())
				}
			}
		}
	}
	return out
}

// A sample whose stack was copied waits for the tables, with its process long gone,
// and counts as open all the time.
func TestACopyWaitsForItsTables(t *testing.T) {
	p := startCopied(t)
	p.Batch(&event.Batch{Mapped: []event.Mapped{mappedAt(1040*ms, 0x30000, 0x40000, "/lib/y")}})
	p.Complete(1050 * ms) // it is not new any more
	p.Batch(batch(copiedAt(1100 * ms)))
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{
		{Kind: event.Exit, KTime: 1101 * ms, Proc: walked}, {Kind: event.Free, KTime: 1102 * ms, Proc: walked},
	}})
	p.Complete(1200 * ms)
	require.EqualValues(t, 1, p.Stats().Processes.Evictions)
	require.Equal(t, Ledger{Seen: 1, Open: 1}, p.Stats().Ledger)
	require.Zero(t, p.Stats().Copied)
	oldest, any := p.Oldest()
	require.True(t, any)
	require.Equal(t, 1100*ms, oldest)
	require.Len(t, p.code.wanted, 2, "the tables of all that is mapped")

	for _, r := range p.FileRequests(9) {
		p.Loaded(FileAnswer{ID: r.ID, File: file("x"), Pieces: []unwind.Piece{pieceOfX}})
	}
	closed := p.Flush(1300 * ms)
	require.Len(t, closed, 1)
	require.EqualValues(t, 1, closed[0].Samples())
	require.Equal(t, []uint64{0x10, 0x20, 0x30}, addresses(t, closed[0]))
	require.Equal(t, Ledger{Seen: 1, Closed: 1}, p.Stats().Ledger)
	require.EqualValues(t, 1, p.Stats().Stacks[event.UserComplete])
	require.EqualValues(t, 1, p.Stats().Copied)
	_, any = p.Oldest()
	require.False(t, any)
}

// A window that is over waits a completion for what its samples asked for, while the
// next one fills.
func TestAWindowWaitsForWhatItAskedFor(t *testing.T) {
	p := startCopied(t)
	p.Batch(batch(copiedAt(1990*ms), copiedAt(2001*ms)))
	require.Empty(t, p.Complete(2005*ms))
	oldest, any := p.Oldest()
	require.True(t, any)
	require.Equal(t, 1990*ms, oldest)
	require.Equal(t, Ledger{Seen: 2, Open: 2}, p.Stats().Ledger)
	load(t, p)
	closed := p.Complete(2500 * ms)
	require.Len(t, closed, 1)
	require.Equal(t, 2000*ms, closed[0].End())
	require.Equal(t, []uint64{0x10, 0x20, 0x30}, addresses(t, closed[0]))
	require.Equal(t, Ledger{Seen: 2, Open: 1, Closed: 1}, p.Stats().Ledger)
	closed = p.Flush(2600 * ms)
	require.Len(t, closed, 1)
	require.EqualValues(t, 1, closed[0].Samples())
	require.EqualValues(t, 2, p.Stats().Stacks[event.UserComplete])
}

// It waits no longer than its window, for a file that cannot be read, or beyond the
// limit of memory.
func TestNoCopyWaitsForEver(t *testing.T) {
	for name, hurry := range map[string]func(*Pipeline) []*Window{
		"the window ends": func(p *Pipeline) []*Window {
			require.Empty(t, p.Complete(2000*ms))
			require.Equal(t, Ledger{Seen: 1, Open: 1}, p.Stats().Ledger)
			return p.Complete(2010 * ms)
		},
		"the file cannot be read": func(p *Pipeline) []*Window {
			p.Loaded(FileAnswer{ID: p.FileRequests(9)[0].ID})
			p.Complete(1300 * ms)
			require.EqualValues(t, 1, p.Stats().Copied)
			return p.Flush(1400 * ms)
		},
	} {
		p := startCopied(t)
		p.Batch(batch(copiedAt(1100 * ms)))
		p.Complete(1200 * ms)
		closed := hurry(p)
		require.Len(t, closed, 1, name)
		require.Equal(t, []uint64{0x10}, addresses(t, closed[0]), name)
		require.EqualValues(t, 1, p.Stats().Stacks[event.UserNoTable], name)
	}
	p := startCopied(t)
	p.copies.maxBytes = 2 * size(&event.Sample{Kernel: make([]uint64, 1), User: make([]uint64, 10)})
	p.Batch(batch(copiedAt(1100*ms), copiedAt(1101*ms), copiedAt(1102*ms)))
	p.Complete(1200 * ms)
	require.EqualValues(t, 1, p.Stats().Copied)
	require.Equal(t, Ledger{Seen: 3, Open: 3}, p.Stats().Ledger)
	load(t, p)
	p.Complete(1300 * ms)
	require.EqualValues(t, 3, p.Stats().Copied)
	require.EqualValues(t, 2, p.Stats().Stacks[event.UserComplete])
	require.Zero(t, p.copies.bytes)
	require.Empty(t, p.copies.waiting)
}

// What has taken the place of the code that a sample was in, while it waits, is not taken
// for it.
func TestACopyKeepsWhatWasMapped(t *testing.T) {
	p := startCopied(t)
	p.Batch(batch(copiedAt(1100 * ms)))
	p.Complete(1120 * ms)
	p.Batch(&event.Batch{Mapped: []event.Mapped{mappedAt(1150*ms, 0x10000, 0x20000, "/lib/y")}})
	p.Complete(1200 * ms)
	p.Complete(1300 * ms)
	p.Batch(&event.Batch{Mapped: []event.Mapped{mappedAt(1350*ms, 0x40000, 0x50000, "/lib/z")}})
	p.Complete(1400 * ms) // what ended long ago is forgotten now
	require.Len(t, p.copies.waiting, 1)
	p.Loaded(FileAnswer{ID: p.FileRequests(9)[0].ID, File: file("x"), Pieces: []unwind.Piece{pieceOfX}})
	closed := p.Flush(1600 * ms)
	require.Len(t, closed, 1)
	require.Equal(t, []uint64{0x10, 0x20, 0x30}, addresses(t, closed[0]))
}

// A process of which nothing is known is read first.
func TestACopyWaitsForWhatIsMapped(t *testing.T) {
	p := newPipeline()
	p.copies = twoWords(t, p)
	p.Scan([]event.Task{{Proc: walked, Generation: 1}}, 1001*ms, 1002*ms)
	p.Batch(batch(copiedAt(1100 * ms)))
	requests := p.Requests(9)
	require.Len(t, requests, 1)
	p.Complete(1200 * ms)
	require.Len(t, p.copies.waiting, 1)
	p.Answer(process.Answer{
		Request: requests[0], From: 1110 * ms, To: 1120 * ms, StartTick: 7, Image: &process.Image{Executable: "/bin/x"},
		Mappings: []event.Mapping{{Start: 0x10000, End: 0x20000, Path: "/bin/x", BuildID: "x"}},
	})
	p.Complete(1300 * ms)
	require.Len(t, p.copies.waiting, 1, "its table is to come")
	load(t, p)
	closed := p.Flush(1400 * ms)
	require.Len(t, closed, 1)
	require.Equal(t, []uint64{0x10, 0x20, 0x30}, addresses(t, closed[0]))
}
