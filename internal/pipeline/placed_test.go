// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

var pieceOfX = unwind.Piece{From: 0x10000, To: 0x20000, Rows: 5}

// A table goes a minute after the last process that used it, not before, and in the same
// round as that is withdrawn or later.
func TestATableGoesAfterItsLastUser(t *testing.T) {
	p := startWalked(t)
	hitWalked(p, 1100*ms)
	load(t, p)
	require.Len(t, p.Walks().Spaces, 1)
	p.Complete(1100*ms + 2*tableLinger)
	require.Empty(t, p.Walks().Dropped, "it is mapped")
	p.Batch(&event.Batch{Mapped: []event.Mapped{{KTime: 1150*ms + 2*tableLinger, PID: 7, Mapping: event.Mapping{Start: 0x50000, End: 0x60000}}}})
	p.Complete(1160*ms + 2*tableLinger)
	require.Len(t, p.Walks().Spaces, 1, "published anew, with the same table")

	gone := 1200*ms + 2*tableLinger
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{
		{Kind: event.Exit, KTime: gone, Proc: walked}, {Kind: event.Free, KTime: gone, Proc: walked},
	}})
	p.Complete(gone)
	walks := p.Walks()
	require.Len(t, walks.Over, 1)
	require.Empty(t, walks.Dropped)
	p.Complete(gone + tableLinger)
	require.Empty(t, p.Walks().Dropped)
	p.Complete(gone + tableLinger + ms)
	require.Equal(t, []unwind.Piece{pieceOfX}, p.Walks().Dropped)

	next := event.ProcID{PID: 8, Start: 80_000_000}
	at := gone + tableLinger
	p.Batch(&event.Batch{
		Lifecycle: []event.Lifecycle{{Kind: event.Fork, KTime: at + 2*ms, Proc: next}, {Kind: event.Exec, KTime: at + 3*ms, Proc: next, Generation: 1}},
		Mapped:    []event.Mapped{{KTime: at + 4*ms, PID: 8, Mapping: event.Mapping{Start: 0x10000, End: 0x20000, Path: "/bin/x", BuildID: "/bin/x"}}},
	})
	s := sample(at+5*ms, 8, 0x10010)
	s.Proc, s.Generation = next, 1
	p.Batch(batch(s))
	p.Complete(at + 6*ms)
	require.False(t, p.FileRequests(9)[0].Placed, "it is asked for again")
}

// When there is no room, tables that nobody uses go at once.
func TestTablesMakeRoomForOthers(t *testing.T) {
	s := shelf{files: map[event.FileID]*placed{}}
	idle, used := event.FileID{BuildID: "idle"}, event.FileID{BuildID: "used"}
	s.put(idle, &placed{pieces: []unwind.Piece{{First: 1}}})
	s.put(used, &placed{pieces: []unwind.Piece{{First: 2}}, users: 1})
	s.complete()
	require.Empty(t, s.dropped)
	s.tight = true
	s.complete()
	require.Equal(t, []unwind.Piece{{First: 1}}, s.dropped)
	require.Len(t, s.files, 1)
	require.False(t, s.tight)
}

// A table that another replaces is kept for those that use it.
func TestAReplacedTableGoesWithItsLastUser(t *testing.T) {
	s := shelf{files: map[event.FileID]*placed{}}
	id := event.FileID{BuildID: "x"}
	first := &placed{pieces: []unwind.Piece{{First: 1}}, users: 2}
	s.put(id, first)
	s.put(id, &placed{pieces: []unwind.Piece{{First: 2}}})
	s.release([]*placed{first})
	require.Empty(t, s.dropped)
	s.release([]*placed{first})
	require.Equal(t, []unwind.Piece{{First: 1}}, s.dropped)
	s.put(id, &placed{})
	require.Equal(t, []unwind.Piece{{First: 1}, {First: 2}}, s.dropped, "nobody used it")
}

// What a file says of its names alone does not pass for its having no table.
func TestNamesAloneSayNothingOfTables(t *testing.T) {
	c := newCode(1 << 20)
	m := &event.Mapping{Start: 0x10000, End: 0x20000, Path: "/bin/x", BuildID: "x"}
	c.tables.put(m.ID(), &placed{pieces: []unwind.Piece{{First: 1}}})
	require.True(t, c.want(m.ID(), m, holders(life)))
	require.True(t, c.requests(1)[0].Placed)
	c.tables.sweep(true)
	c.loaded(FileAnswer{ID: m.ID(), File: file("x")})
	_, ok := c.tables.get(m.ID())
	require.False(t, ok)
}

// Two segments may share a page of the file, which both mappings then show.
func TestBias(t *testing.T) {
	p := &placed{segments: []symbol.Segment{
		{Address: 0x401000, Size: 0x1500, Offset: 0x1000}, {Address: 0x403500, Size: 0x3000, Offset: 0x2500},
	}}
	for _, base := range []uint64{0, 0x7f0000000000} {
		require.Equal(t, base, p.bias(&event.Mapping{Start: base + 0x401000, End: base + 0x403000, Offset: 0x1000}))
		require.Equal(t, base, p.bias(&event.Mapping{Start: base + 0x403000, End: base + 0x407000, Offset: 0x2000}))
		require.Equal(t, base, p.bias(&event.Mapping{Start: base + 0x404000, End: base + 0x407000, Offset: 0x3000}), "a part")
	}
}
