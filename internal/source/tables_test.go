// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

func openTables(t *testing.T) *tables {
	t.Helper()
	return open(t, Settings{SamplesPerSecond: 1, PollInterval: time.Second}).tables
}

// tableOf has a row every ten bytes, with rules in turn.
func tableOf(rows int) *unwind.Table {
	t := &unwind.Table{Base: 0x5000, Rules: []unwind.Rule{unwind.NoInfo}}
	for i := range int32(7) {
		t.Rules = append(t.Rules, unwind.Rule{CFA: unwind.CFASP, CFAOffset: 8 * i, RA: unwind.AtCFA, RAOffset: -8, FP: unwind.Same})
	}
	for i := range rows - 1 {
		t.Rows = append(t.Rows, unwind.Row{Offset: uint32(10 * i), Rule: uint16(1 + i%7)})
	}
	t.Rows = append(t.Rows, unwind.Row{Offset: uint32(10 * (rows - 1))})
	return t
}

// find looks an address up as the sampler does.
func (t *tables) find(pieces []unwind.Piece, address uint64) unwind.Rule {
	for _, p := range pieces {
		if address < p.From || address >= p.To {
			continue
		}
		rows := unsafe.Slice((*bpf.ProfilerWireRow)(unsafe.Pointer(&t.memory[p.Chunk].bytes[int(p.First)*rowBytes])), p.Rows)
		found := uint32(0)
		for _, r := range rows {
			if uint64(r.Offset) <= address-p.Base {
				found = r.Rule
			}
		}
		return t.rules.at(found)
	}
	return unwind.NoInfo
}

// A table that is larger than a chunk, and one that begins where another ends.
func TestTablesLieInPieces(t *testing.T) {
	tab := openTables(t)
	small, large := tableOf(100), tableOf(3*chunkRows/2)
	first, err := tab.place(small)
	require.NoError(t, err)
	require.Len(t, first, 1)
	pieces, err := tab.place(large)
	require.NoError(t, err)
	require.Len(t, pieces, 2, "the rest of a chunk, and the next")
	require.Equal(t, pieces[0].To, pieces[1].From)
	require.EqualValues(t, len(large.Rows), pieces[0].Rows+pieces[1].Rows)
	edge := pieces[0].To
	last := large.Base + uint64(large.Rows[len(large.Rows)-1].Offset)
	for _, address := range []uint64{large.Base, edge - 11, edge - 1, edge, edge + 9, edge + 10, last - 1, last, large.Base - 1} {
		want, _ := large.Find(address)
		require.Equal(t, want, tab.find(pieces, address), "%#x", address)
	}
	for _, address := range []uint64{small.Base, small.Base + 505} {
		want, _ := small.Find(address)
		require.Equal(t, want, tab.find(first, address))
	}
	require.EqualValues(t, 2*chunkSize, tab.bytes())
}

// What a program may still read is not used again before a barrier has passed.
func TestListsAreUsedAgainAfterABarrier(t *testing.T) {
	tab := openTables(t)
	space := func(pid uint32, generation event.Generation) unwind.Space {
		return unwind.Space{
			Proc: event.ProcID{PID: pid, Start: 9}, Generation: generation,
			Regions: []unwind.Region{{Start: 1, End: 2}},
		}
	}
	where := func(pid uint32) (out bpf.ProfilerWireSpace) {
		t.Helper()
		require.NoError(t, tab.spaces.Lookup(pid, &out))
		return out
	}
	require.NoError(t, tab.publish(space(1, 0)))
	first := where(1)
	require.NoError(t, tab.publish(space(1, 1)))
	second := where(1)
	require.NotEqual(t, first, second)
	passed := tab.barrier()
	require.NoError(t, tab.withdraw(space(1, 0)), "it has been replaced")
	require.Equal(t, second, where(1))
	require.NoError(t, tab.withdraw(space(1, 1)))
	require.Error(t, tab.spaces.Lookup(uint32(1), &second))

	require.NoError(t, tab.publish(space(2, 0)))
	require.NotEqual(t, first, where(2), "the barrier has not passed")
	passed(true)
	require.NoError(t, tab.publish(space(3, 0)))
	require.Equal(t, first, where(3))
	require.NoError(t, tab.publish(space(4, 0)))
	require.NotEqual(t, second.First, where(4).First, "it was retired after the barrier began")

	// Two barriers overlap at the end, and one that fails has passed nothing.
	tab.barrier()(true)
	spare := len(tab.spare[4])
	require.NoError(t, tab.withdraw(space(2, 0)))
	one := tab.barrier()
	require.NoError(t, tab.withdraw(space(3, 0)))
	two := tab.barrier()
	two(true)
	one(false)
	require.Len(t, tab.retired.lists, 1)
	tab.barrier()(true)
	require.Empty(t, tab.retired.lists)
	require.Len(t, tab.spare[4], spare+2)
}

// Rows and rules of tables that were dropped are used again after a barrier, and chunks
// that hold none go.
func TestTablesThatWereDroppedMakeRoom(t *testing.T) {
	tab := openTables(t)
	other := tableOf(50)
	other.Rules[3].CFAOffset = 4711
	large, err := tab.place(tableOf(3 * chunkRows / 2))
	require.NoError(t, err)
	small, err := tab.place(other)
	require.NoError(t, err)
	require.EqualValues(t, 2*chunkSize, tab.bytes())
	rules := len(tab.rules.users)
	require.EqualValues(t, large[1].Chunk, small[0].Chunk)

	passed := tab.barrier()
	tab.drop(large)
	passed(true)
	again, err := tab.place(tableOf(100))
	require.NoError(t, err)
	require.Equal(t, small[0].First+small[0].Rows, again[0].First, "no barrier has passed since")
	tab.barrier()(false)
	tab.barrier()(true)
	require.EqualValues(t, chunkSize, tab.bytes(), "the first chunk is gone")
	require.Equal(t, other.Rules[3], tab.find(small, other.Base+25))

	tab.drop(small)
	tab.drop(again)
	tab.barrier()(true)
	require.Zero(t, tab.bytes())
	require.Empty(t, tab.free)
	require.Empty(t, tab.users)
	require.Len(t, tab.rules.numbers, firstRule)
	for i := range int32(rules - firstRule) {
		tab.rules.take(unwind.Rule{CFA: unwind.CFAFP, CFAOffset: i})
	}
	require.Len(t, tab.rules.users, rules, "the numbers are used again")
	pieces, err := tab.place(tableOf(chunkRows))
	require.NoError(t, err)
	require.Len(t, pieces, 1)
	require.Zero(t, pieces[0].Chunk, "so is that of the chunk")
	want, _ := tableOf(chunkRows).Find(0x5000 + 1234)
	require.Equal(t, want, tab.rule(pieces[0], 1234))
	require.Equal(t, unwind.NoInfo, tab.rule(unwind.Piece{}, 0))
}

// A table for which there is room in part only takes none.
func TestATableThatCannotBePlacedTakesNothing(t *testing.T) {
	tab := openTables(t)
	_, err := tab.place(tableOf(100))
	require.NoError(t, err)
	free, rules := slices.Clone(tab.free), len(tab.rules.numbers)
	chunks := tab.chunks
	tab.chunks, err = chunks.Clone()
	require.NoError(t, err)
	require.NoError(t, tab.chunks.Close())
	large := tableOf(2 * chunkRows)
	large.Rules[1].CFAOffset = 4711
	_, err = tab.place(large)
	require.Error(t, err, "no chunk can be added")
	require.Equal(t, free, tab.free)
	require.Len(t, tab.rules.numbers, rules)
	tab.chunks = chunks
	pieces, err := tab.place(large)
	require.NoError(t, err)
	want, _ := large.Find(large.Base + 5)
	require.Equal(t, want, tab.find(pieces, large.Base+5))
}

// What comes after the end fails, and does no harm.
func TestTablesThatAreClosed(t *testing.T) {
	tab := openTables(t)
	pieces, err := tab.place(tableOf(10))
	require.NoError(t, err)
	s := unwind.Space{Proc: event.ProcID{PID: 1}}
	require.NoError(t, tab.publish(s))
	require.NoError(t, tab.close())
	require.NoError(t, tab.close())
	_, err = tab.place(tableOf(10))
	require.Error(t, err)
	require.Error(t, tab.publish(s))
	require.Error(t, tab.publish(unwind.Space{Proc: event.ProcID{PID: 2}}))
	require.NoError(t, tab.withdraw(s), "it has been withdrawn")
	tab.drop(pieces)
	require.Equal(t, unwind.NoInfo, tab.rule(pieces[0], 0))
	tab.barrier()(true)
}

func TestTablesAreBounded(t *testing.T) {
	tab := openTables(t)
	huge := unwind.Space{Proc: event.ProcID{PID: 1}, Regions: make([]unwind.Region, maxRegions)}
	require.ErrorIs(t, tab.publish(huge), ErrTablesFull)
	for pid := range uint32(maxSpaces) {
		require.NoError(t, tab.publish(unwind.Space{Proc: event.ProcID{PID: 1000 + pid}}))
	}
	require.ErrorIs(t, tab.publish(unwind.Space{Proc: event.ProcID{PID: 1}}), ErrTablesFull)
	require.NoError(t, tab.withdraw(unwind.Space{Proc: event.ProcID{PID: 1000}}))
	require.NoError(t, tab.publish(unwind.Space{Proc: event.ProcID{PID: 1}}))
	// A file may have so many rows and rules, and all together so many rules: beyond
	// that a walk ends.
	_, err := tab.place(&unwind.Table{Rows: make([]unwind.Row, maxRows+1), Rules: make([]unwind.Rule, 1)})
	require.ErrorIs(t, err, ErrTablesFull)
	_, err = tab.place(&unwind.Table{Rows: make([]unwind.Row, 1), Rules: make([]unwind.Rule, maxFileRules+1)})
	require.ErrorIs(t, err, ErrTablesFull)
	var pieces []unwind.Piece
	for n := range int32(maxRules/maxFileRules + 1) {
		table := &unwind.Table{}
		for i := range int32(maxFileRules) {
			table.Rules = append(table.Rules, unwind.Rule{CFA: unwind.CFASP, CFAOffset: 1 + n*maxFileRules + i})
			table.Rows = append(table.Rows, unwind.Row{Offset: uint32(i), Rule: uint16(i)})
		}
		pieces, err = tab.place(table)
		require.NoError(t, err)
		if n == 0 {
			require.Equal(t, unwind.CFASP, tab.find(pieces, maxFileRules-2).CFA)
		}
	}
	require.Equal(t, unwind.CFAUnsupported, tab.find(pieces, maxFileRules-2).CFA)
}
