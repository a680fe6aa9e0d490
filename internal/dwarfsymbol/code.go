// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"cmp"
	"debug/elf"
	"math"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

type extent struct{ start, end uint64 }

// executable returns the addresses of code: those of its sections. A segment of code may
// begin at 0, with the headers of the file, where linkers have what they left out; it
// counts only if no section says that it is code.
func executable(segments []elffile.Segment, all []elffile.Section) (out []extent) {
	const code = elf.SHF_ALLOC | elf.SHF_EXECINSTR
	for _, s := range all {
		if s.Flags&code == code && s.Addr > 0 { // 0 in files that are not linked
			out = append(out, extent{s.Addr, s.Addr + s.Size})
		}
	}
	if len(out) > 0 {
		return merged(out)
	}
	for _, s := range segments {
		if s.Executable() {
			out = append(out, extent{max(s.Addr, 1), s.Addr + s.Memsz})
		}
	}
	return merged(out)
}

// merged sorts ranges of addresses, and makes one of those that touch.
func merged(all []extent) []extent {
	slices.SortFunc(all, func(a, b extent) int { return cmp.Compare(a.start, b.start) })
	out := all[:0]
	for _, e := range all {
		switch last := len(out) - 1; {
		case e.start >= e.end:
		case last >= 0 && e.start <= out[last].end:
			out[last].end = max(out[last].end, e.end)
		default:
			out = append(out, e)
		}
	}
	return out
}

// keeps says whether a range of addresses is code of the file. What the linker left
// out is still described, at addresses such as 0.
func (d *Debug) keeps(e extent) bool {
	i, found := slices.BinarySearchFunc(d.code, e.start, func(c extent, addr uint64) int { return cmp.Compare(c.start, addr) })
	if !found {
		i--
	}
	return e.start < e.end && i >= 0 && e.end <= d.code[i].end
}

// tombstone says whether linkers write addr for code that they left out: 0, or 1 in lists
// that 0 would end (GNU ld and lld), or one of the last addresses (DWARF 6, issue 200609.1).
func tombstone(addr uint64) bool { return addr <= 1 || addr >= math.MaxUint64-1 }
