// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/threadlocal"
)

// Piece says where the rows of a part of a file are, once they have been placed
// where the sampler reads them.
type Piece struct {
	// From is the first address of the part, To the first one behind, as the file
	// has them (ELF virtual addresses). Base is what the rows' offsets count from.
	From, To, Base uint64
	// Chunk holds the rows, First is the first of them, Rows their number.
	Chunk, First, Rows uint32
}

// Region is a part of the memory of a process. Without rows it is walked by frame
// pointers.
type Region struct {
	// Start is the first address, End the first one behind, Base the address that
	// the rows' offsets count from.
	Start, End, Base   uint64
	Chunk, First, Rows uint32
}

// Space is the executable memory of an image, ascending and without overlap, and where
// its threads have their context.
type Space struct {
	Proc       event.ProcID
	Generation event.Generation
	Regions    []Region
	Context    threadlocal.Place
}

// Regions appends a mapping as regions: bias is how far from the file's own
// addresses it is loaded, modulo 2^64. What no piece describes is left to frame
// pointers.
func Regions(out []Region, start, end, bias uint64, pieces []Piece) []Region {
	at := start
	for _, p := range pieces {
		from, to := max(at, p.From+bias), min(end, p.To+bias)
		if p.From+bias > p.To+bias || from >= to {
			continue // it wraps around, or is elsewhere
		}
		if from > at {
			out = append(out, Region{Start: at, End: from})
		}
		out = append(out, Region{Start: from, End: to, Base: p.Base + bias, Chunk: p.Chunk, First: p.First, Rows: p.Rows})
		at = to
	}
	if at < end {
		out = append(out, Region{Start: at, End: end})
	}
	return out
}

// Holds returns where an address of a mapping with this bias is in the rows of the
// piece, and whether it is there.
func (p Piece) Holds(address, bias uint64) (offset uint32, ok bool) {
	own := address - bias
	return uint32(own - p.Base), p.From <= own && own < p.To
}
