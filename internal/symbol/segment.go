// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"fmt"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// maxCode bounds the executable segments. Files have one or two.
const maxCode = 64

// Segment is a part of a file that is loaded executable (a PT_LOAD with PF_X).
type Segment struct {
	// Address is where the segment wants to be (p_vaddr).
	Address uint64
	// Size is how much of it is in the file (p_filesz).
	Size uint64
	// Offset is where in the file it begins (p_offset). A mapping of it begins
	// at this offset rounded down to a page.
	Offset uint64
}

// Address translates a file offset into the ELF virtual address that the file's
// symbols are in. The offset of an instruction is its address, less the start of
// its mapping, plus the file offset of the mapping. Only offsets inside an
// executable segment have an address: what a page of the mapping holds beyond
// the segment's ends belongs to something else.
func (f *File) Address(offset uint64) (addr uint64, seg Segment, ok bool) {
	for _, s := range f.segments {
		if offset >= s.Offset && offset-s.Offset < s.Size {
			return offset - s.Offset + s.Address, s, true
		}
	}
	return 0, Segment{}, false
}

// executable selects the segments that hold code. One that runs over the end of
// the address space or of the offsets cannot be loaded, so it is left out.
func executable(segments []elffile.Segment) ([]Segment, error) {
	var out []Segment
	for _, s := range segments {
		if !s.Executable() || s.Filesz == 0 {
			continue
		}
		if s.Addr+s.Filesz < s.Addr || s.Offset+s.Filesz < s.Offset {
			continue
		}
		if len(out) == maxCode {
			return nil, fmt.Errorf("%w: more than %d executable segments", ErrTooLarge, maxCode)
		}
		out = append(out, Segment{Address: s.Addr, Size: s.Filesz, Offset: s.Offset})
	}
	return slices.Clip(out), nil
}
