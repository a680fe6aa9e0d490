// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
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
		for rule, n := range t.numbers {
			if n == found {
				return rule
			}
		}
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
	require.EqualValues(t, 1, first.Count)
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
	passed()
	require.NoError(t, tab.publish(space(3, 0)))
	require.Equal(t, first, where(3))
	require.NoError(t, tab.publish(space(4, 0)))
	require.NotEqual(t, second.First, where(4).First, "it was retired after the barrier began")
}

func TestTablesAreBounded(t *testing.T) {
	tab := openTables(t)
	huge := unwind.Space{Proc: event.ProcID{PID: 1}, Regions: make([]unwind.Region, chunkSize/regionBytes)}
	require.ErrorIs(t, tab.publish(huge), ErrTablesFull)
	for pid := range uint32(maxSpaces) {
		require.NoError(t, tab.publish(unwind.Space{Proc: event.ProcID{PID: 1000 + pid}}))
	}
	require.ErrorIs(t, tab.publish(unwind.Space{Proc: event.ProcID{PID: 1}}), ErrTablesFull)
	require.NoError(t, tab.withdraw(unwind.Space{Proc: event.ProcID{PID: 1000}}))
	require.NoError(t, tab.publish(unwind.Space{Proc: event.ProcID{PID: 1}}))
	// A table with rules of its own in each row leaves some without a rule.
	many := &unwind.Table{Rules: []unwind.Rule{unwind.NoInfo}}
	for i := range int32(maxRules + 100) {
		many.Rules = append(many.Rules, unwind.Rule{CFA: unwind.CFASP, CFAOffset: 1 + i})
		many.Rows = append(many.Rows, unwind.Row{Offset: uint32(i), Rule: uint16(1 + i)})
	}
	pieces, err := tab.place(many)
	require.NoError(t, err)
	require.Equal(t, unwind.CFASP, tab.find(pieces, 0).CFA)
	require.Equal(t, unwind.NoInfo, tab.find(pieces, maxRules+50))
}
