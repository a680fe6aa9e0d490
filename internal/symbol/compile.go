// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"cmp"
	"debug/elf"
	"fmt"
	"math"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/interval"
)

// extent is a range of addresses.
type extent struct{ start, end uint64 }

// codeSections returns the address ranges of the sections that hold code.
func codeSections(sections []elffile.Section) []extent {
	const code = elf.SHF_ALLOC | elf.SHF_EXECINSTR
	var out []extent
	for _, s := range sections {
		if s.Flags&code == code && s.Addr+s.Size > s.Addr {
			out = append(out, extent{s.Addr, s.Addr + s.Size})
		}
	}
	slices.SortFunc(out, func(a, b extent) int { return cmp.Compare(a.start, b.start) })
	return out
}

// compile turns overlapping symbols into a table of disjoint ranges.
func (fs *functions) compile(code []extent) (table, error) {
	slices.SortFunc(fs.all, precedence)
	fs.size(code)
	return fs.table(fs.flatten())
}

// precedence orders symbols so that of two that cover an address the later one
// names it: the one that starts later (the inner one), then the preferred one.
func precedence(a, b function) int {
	if a.start != b.start { // nearly always; spare the rest
		return cmp.Compare(a.start, b.start)
	}
	return cmp.Or(
		cmp.Compare(b.rank, a.rank),
		cmp.Compare(b.length, a.length),
		cmp.Compare(b.strings, a.strings),
		cmp.Compare(b.name, a.name),
		cmp.Compare(a.end, b.end),
	)
}

// size gives the symbols without size (assembly, mostly) an end: that of the
// longest alias at the same address, else the next symbol, the end of the
// function around it or the end of the section, whichever comes first. Outside of
// any section they name nothing, and neither in a file whose other functions may have
// been stripped.
func (fs *functions) size(code []extent) {
	section, around := 0, uint64(0)
	for i := 0; i < len(fs.all); {
		start, end, j := fs.all[i].start, uint64(0), i
		for ; j < len(fs.all) && fs.all[j].start == start; j++ {
			end = max(end, fs.all[j].end)
		}
		if end == start {
			for section < len(code) && code[section].end <= start {
				section++
			}
			if section < len(code) && code[section].start <= start && fs.whole {
				end = code[section].end
			}
			if j < len(fs.all) {
				end = min(end, fs.all[j].start)
			}
			if around > start {
				end = min(end, around)
			}
		} else {
			around = max(around, end)
		}
		for ; i < j; i++ {
			if fs.all[i].end == start {
				fs.all[i].end = end
			}
		}
	}
}

// span is a range of addresses that one function names.
type span struct {
	extent
	function int32
}

// flatten cuts the symbols into disjoint spans, in ascending order.
func (fs *functions) flatten() []span {
	spans := make([]span, 0, len(fs.all))
	at := func(i int) (start, end uint64) { return fs.all[i].start, fs.all[i].end }
	interval.Flatten(len(fs.all), at, func(start, end uint64, i int) {
		spans = append(spans, span{extent{start, end}, int32(i)})
	})
	return spans
}

// table stores the spans and the names they need. Spans share a name that is one in the
// file; local functions often do.
func (fs *functions) table(spans []span) (table, error) {
	if len(spans) == 0 {
		return table{}, nil
	}
	// A linker may let one name be the tail of another, which here becomes two.
	// A file in which that is more than a trifle is made to fill our memory.
	limit, size := 0, 0
	for _, s := range fs.strings {
		limit += 2 * len(s)
	}
	t := table{
		starts:  make([]uint64, len(spans)),
		lengths: make([]uint32, len(spans)),
		numbers: make([]uint32, len(spans)),
	}
	var names nameWriter
	numbers := make(map[uint64]uint32, len(spans))
	for i, s := range spans {
		f := &fs.all[s.function]
		id := uint64(f.strings)<<32 | uint64(f.name)
		n, ok := numbers[id]
		if !ok {
			if size += int(f.length) + 1; size > limit {
				return table{}, fmt.Errorf("%w: more names than the %d bytes of its string tables hold", ErrDamaged, limit/2)
			}
			n = names.add(fs.strings[f.strings][f.name:][:f.length])
			numbers[id] = n
		}
		t.starts[i], t.lengths[i], t.numbers[i] = s.start, uint32(min(s.end-s.start, math.MaxUint32)), n
	}
	t.names = names.names()
	return t, nil
}
