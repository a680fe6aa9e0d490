// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package elffile

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// Segment is a program header (gABI chapter 5).
type Segment struct {
	Type  elf.ProgType
	Flags elf.ProgFlag
	// Offset in the file, virtual address, size in the file and in memory, alignment.
	Offset, Addr, Filesz, Memsz uint64
	Align                       uint64
}

// Executable says whether the segment is loaded as code.
func (s Segment) Executable() bool { return s.Type == elf.PT_LOAD && s.Flags&elf.PF_X != 0 }

// readSegments reads the program headers.
func (f *File) readSegments() error {
	if f.phnum > maxSegments {
		return fmt.Errorf("%w: %d program headers, at most %d can be loaded", ErrTooLarge, f.phnum, maxSegments)
	}
	buf, err := f.Read("program headers", f.phoff, uint64(f.phnum)*segmentSize)
	if err != nil {
		return err
	}
	f.Segments = make([]Segment, f.phnum)
	for i := range f.Segments {
		f.Segments[i] = parseSegment(buf[i*segmentSize:])
	}
	return nil
}

func parseSegment(b []byte) Segment {
	le := binary.LittleEndian
	return Segment{
		Type: elf.ProgType(le.Uint32(b)), Flags: elf.ProgFlag(le.Uint32(b[4:])), Offset: le.Uint64(b[8:]),
		Addr: le.Uint64(b[16:]), Filesz: le.Uint64(b[32:]), Memsz: le.Uint64(b[40:]), Align: le.Uint64(b[48:]),
	}
}
