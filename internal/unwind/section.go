// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"debug/elf"
	"fmt"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// section is a section of call frame information.
type section struct {
	name string
	data []byte
	addr uint64 // virtual address of data[0]
	eh   bool   // in the form of .eh_frame, not of .debug_frame
	// terminated: it ends where its terminator is, because nothing else says so.
	terminated bool
}

// sections finds the call frame information of a file. Of one that it lacks
// there is no data. With an error one of them may be there all the same.
func sections(file *elffile.File) (eh, debug section, err error) {
	found, err := named(file)
	if err != nil {
		eh, _ = segmentFrames(file) // err tells more
		return eh, debug, err
	}
	if found[0].Type == elf.SHT_NULL {
		eh, err = segmentFrames(file)
	} else {
		eh, err = ehFrames(file, found[0])
	}
	if err != nil {
		return eh, debug, err
	}
	debug.name = ".debug_frame"
	debug.data, err = file.Content(debug.name, found[1], maxSection)
	return eh, debug, err
}

// named finds the headers of the sections.
func named(file *elffile.File) ([]elffile.Section, error) {
	headers, err := file.Sections()
	if err != nil {
		return nil, err
	}
	return file.Named(headers, ".eh_frame", ".debug_frame")
}

func ehFrames(file *elffile.File, s elffile.Section) (section, error) {
	data, err := file.Content(".eh_frame", s, maxSection)
	return section{name: ".eh_frame", data: data, addr: s.Addr, eh: true}, err
}

// segmentFrames finds .eh_frame by PT_GNU_EH_FRAME, as unwinders in the process
// do.
func segmentFrames(file *elffile.File) (section, error) {
	for _, s := range file.Segments {
		if s.Type != elf.PT_GNU_EH_FRAME {
			continue
		}
		if s.Filesz > maxSection {
			return section{}, fmt.Errorf("%w: .eh_frame_hdr has %d bytes, at most %d are read", ErrTooLarge, s.Filesz, maxSection)
		}
		data, err := file.Read(".eh_frame_hdr", s.Offset, s.Filesz)
		if err != nil {
			return section{}, err
		}
		h, err := parseHeader(data, s.Addr)
		if err != nil {
			return section{}, fmt.Errorf(".eh_frame_hdr: %w", err)
		}
		return h.frames(file)
	}
	return section{}, nil
}
