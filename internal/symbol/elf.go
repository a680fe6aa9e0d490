// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"debug/elf" // constants only: its readers allocate what the file claims
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

const (
	headerSize  = 64
	segmentSize = 56
	sectionSize = 64

	// maxSegments is what the kernel accepts: 64 KiB of program headers
	// (fs/binfmt_elf.c, load_elf_phdrs, v6.12). More cannot be running.
	maxSegments = 65536 / segmentSize
	// maxCode bounds the executable segments. Files have one or two.
	maxCode = 64
	// maxSections is all that e_shnum can say. Executables have dozens; only
	// relocatable files need the extension for more.
	maxSections = 65536
)

// image is the file while it is being read: its headers, checked.
type image struct {
	r    io.ReaderAt
	size uint64

	phoff, shoff uint64
	phnum, shnum int

	segments []segment
	sections []section
}

// segment is a program header (gABI chapter 5).
type segment struct {
	kind, flags              uint32
	offset, addr, filesz, sz uint64
}

// section is a section header (gABI chapter 4).
type section struct {
	kind, link                uint32
	flags, addr, offset, size uint64
	entsize                   uint64
}

// read returns n bytes at off, if the file has them. The caller bounds n.
func (img *image) read(what string, off, n uint64) ([]byte, error) {
	if off > img.size || n > img.size-off {
		return nil, fmt.Errorf("%w: %s (%d bytes at %d) is beyond the end (%d)", ErrDamaged, what, n, off, img.size)
	}
	buf := make([]byte, n)
	if err := readFull(img.r, buf, int64(off)); err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return buf, nil
}

// readHeader reads the ELF header.
func (img *image) readHeader() error {
	if img.size < headerSize {
		return fmt.Errorf("%w: %d bytes", ErrNotELF, img.size)
	}
	h, err := img.read("ELF header", 0, headerSize)
	if err != nil {
		return err
	}
	if string(h[:4]) != elf.ELFMAG {
		return fmt.Errorf("%w: it starts with %x", ErrNotELF, h[:4])
	}
	if elf.Class(h[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(h[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return fmt.Errorf("%w: %v, %v", ErrUnsupported, elf.Class(h[elf.EI_CLASS]), elf.Data(h[elf.EI_DATA]))
	}
	le := binary.LittleEndian
	img.phoff, img.shoff = le.Uint64(h[32:]), le.Uint64(h[40:])
	img.phnum, img.shnum = int(le.Uint16(h[56:])), int(le.Uint16(h[60:]))
	if s := le.Uint16(h[54:]); img.phnum > 0 && s != segmentSize {
		return fmt.Errorf("%w: program headers of %d bytes", ErrDamaged, s)
	}
	if s := le.Uint16(h[58:]); img.shnum > 0 && s != sectionSize {
		return fmt.Errorf("%w: section headers of %d bytes", ErrDamaged, s)
	}
	return nil
}

// readSegments reads the program headers.
func (img *image) readSegments() error {
	if img.phnum > maxSegments {
		return fmt.Errorf("%w: %d program headers, at most %d can be loaded", ErrTooLarge, img.phnum, maxSegments)
	}
	buf, err := img.read("program headers", img.phoff, uint64(img.phnum)*segmentSize)
	if err != nil {
		return err
	}
	img.segments = make([]segment, img.phnum)
	for i := range img.segments {
		img.segments[i] = parseSegment(buf[i*segmentSize:])
	}
	return nil
}

func parseSegment(b []byte) segment {
	le := binary.LittleEndian
	return segment{
		kind: le.Uint32(b), flags: le.Uint32(b[4:]), offset: le.Uint64(b[8:]),
		addr: le.Uint64(b[16:]), filesz: le.Uint64(b[32:]), sz: le.Uint64(b[40:]),
	}
}

// readSections reads the section headers. A file may have none.
func (img *image) readSections() error {
	if img.shoff == 0 {
		return nil
	}
	if img.shnum == 0 {
		if err := img.readSectionCount(); err != nil {
			return err
		}
	}
	buf, err := img.read("section headers", img.shoff, uint64(img.shnum)*sectionSize)
	if err != nil {
		return err
	}
	img.sections = make([]section, img.shnum)
	for i := range img.sections {
		img.sections[i] = parseSection(buf[i*sectionSize:])
	}
	return nil
}

// readSectionCount reads the number of sections from where it is when e_shnum
// cannot hold it (gABI chapter 4, e_shnum).
func (img *image) readSectionCount() error {
	buf, err := img.read("first section header", img.shoff, sectionSize)
	if err != nil {
		return err
	}
	n := parseSection(buf).size
	if n > maxSections {
		return fmt.Errorf("%w: %d sections, at most %d are read", ErrTooLarge, n, maxSections)
	}
	img.shnum = int(n)
	return nil
}

func parseSection(b []byte) section {
	le := binary.LittleEndian
	return section{
		kind: le.Uint32(b[4:]), flags: le.Uint64(b[8:]), addr: le.Uint64(b[16:]), offset: le.Uint64(b[24:]),
		size: le.Uint64(b[32:]), link: le.Uint32(b[40:]), entsize: le.Uint64(b[56:]),
	}
}

// executable selects the segments that hold code. One that runs over the end of
// the address space or of the offsets cannot be loaded, so it is left out.
func executable(segments []segment) ([]Segment, error) {
	var out []Segment
	for _, s := range segments {
		if elf.ProgType(s.kind) != elf.PT_LOAD || elf.ProgFlag(s.flags)&elf.PF_X == 0 || s.filesz == 0 {
			continue
		}
		if s.addr+s.filesz < s.addr || s.offset+s.filesz < s.offset {
			continue
		}
		if len(out) == maxCode {
			return nil, fmt.Errorf("%w: more than %d executable segments", ErrTooLarge, maxCode)
		}
		out = append(out, Segment{Address: s.addr, Size: s.filesz, Offset: s.offset})
	}
	return slices.Clip(out), nil
}
