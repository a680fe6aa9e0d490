// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Sizes and values of gABI chapters 4 and 5 and of the psABIs.
const (
	elfHeader, programHeader, sectionHeader = 64, 56, 64

	ptLoad, pfExec                  = 1, 1
	shtProgbits, shtRela, shtNobits = 1, 4, 8
	shfWrite, shfAlloc              = 1, 2
	shfCompressed                   = 1 << 11

	machineX86, machineARM   = 62, 183
	relativeX86, relativeARM = 8, 1027
	relaSize                 = 24
)

const (
	// maxSegments is as many as the kernel loads: 64 KiB of program headers.
	maxSegments = 65536 / programHeader
	// maxSectionNames bounds the names of sections, of which Go programs have
	// dozens.
	maxSectionNames = 1 << 20
	// maxScan bounds what Locate reads of a file beside the line table.
	maxScan = 256 << 20
	// window is how much of the file is in memory during that.
	window = 64 << 10
)

// image is an ELF file.
type image struct {
	r        io.ReaderAt
	size     uint64
	relative uint32 // the relocation that adds where the program is loaded
	segments []segment
	sections []section
	scanned  uint64
}

// segment is a part of the file that is loaded.
type segment struct {
	flags                uint32
	offset, addr, filesz uint64
}

type section struct {
	name               string
	kind               uint32
	flags              uint64
	addr, offset, size uint64
}

// read returns n bytes at off, if the file has them. The caller bounds n.
func (img *image) read(off, n uint64) ([]byte, error) {
	if off > img.size || n > img.size-off {
		return nil, fmt.Errorf("%w: %d bytes at %d of %d", ErrDamaged, n, off, img.size)
	}
	b := make([]byte, n)
	return b, img.fill(b, off)
}

func (img *image) fill(b []byte, off uint64) error {
	n, err := img.r.ReadAt(b, int64(off))
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF // it has become shorter
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(b), off, err)
}

// open reads the headers of an ELF file.
func open(r io.ReaderAt, size int64) (*image, error) {
	if size < elfHeader {
		return nil, fmt.Errorf("%w: a file of %d bytes", ErrNoTable, size)
	}
	img := &image{r: r, size: uint64(size)}
	h, err := img.read(0, elfHeader)
	if err != nil {
		return nil, err
	}
	if string(h[:6]) != "\x7fELF\x02\x01" {
		return nil, fmt.Errorf("%w: not a 64-bit little-endian ELF file", ErrNoTable)
	}
	le := binary.LittleEndian
	switch le.Uint16(h[18:]) {
	case machineX86:
		img.relative = relativeX86
	case machineARM:
		img.relative = relativeARM
	}
	if err := img.readSegments(le.Uint64(h[32:]), le.Uint16(h[54:]), le.Uint16(h[56:])); err != nil {
		return nil, err
	}
	return img, img.readSections(le.Uint64(h[40:]), le.Uint16(h[58:]), le.Uint16(h[60:]), le.Uint16(h[62:]))
}

func (img *image) readSegments(off uint64, size, n uint16) error {
	if n > 0 && size != programHeader {
		return fmt.Errorf("%w: program headers of %d bytes", ErrDamaged, size)
	}
	if n > maxSegments {
		return fmt.Errorf("%w: %d program headers", ErrTooLarge, n)
	}
	b, err := img.read(off, uint64(n)*programHeader)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	for ; len(b) > 0; b = b[programHeader:] {
		s := segment{flags: le.Uint32(b[4:]), offset: le.Uint64(b[8:]), addr: le.Uint64(b[16:]), filesz: le.Uint64(b[32:])}
		if le.Uint32(b) == ptLoad && s.offset <= img.size && s.filesz <= img.size-s.offset {
			img.segments = append(img.segments, s)
		}
	}
	return nil
}

// readSections reads the headers of the sections that have content in the file.
func (img *image) readSections(off uint64, size, n, names uint16) error {
	if n == 0 || names >= n {
		return fmt.Errorf("%w: no sections", ErrNoTable)
	}
	if size != sectionHeader {
		return fmt.Errorf("%w: section headers of %d bytes", ErrDamaged, size)
	}
	b, err := img.read(off, uint64(n)*sectionHeader)
	if err != nil {
		return err
	}
	strings := parseSection(b[int(names)*sectionHeader:])
	if strings.size > maxSectionNames {
		return fmt.Errorf("%w: %d bytes of section names", ErrTooLarge, strings.size)
	}
	text, err := img.read(strings.offset, strings.size)
	if err != nil {
		return err
	}
	for ; len(b) > 0; b = b[sectionHeader:] {
		s := parseSection(b)
		if s.kind == shtNobits || s.flags&shfAlloc == 0 || s.flags&shfCompressed != 0 ||
			s.offset > img.size || s.size > img.size-s.offset {
			continue
		}
		s.name = sectionName(text, binary.LittleEndian.Uint32(b))
		img.sections = append(img.sections, s)
	}
	return nil
}

func parseSection(b []byte) section {
	le := binary.LittleEndian
	return section{
		kind: le.Uint32(b[4:]), flags: le.Uint64(b[8:]),
		addr: le.Uint64(b[16:]), offset: le.Uint64(b[24:]), size: le.Uint64(b[32:]),
	}
}

// sectionName is the name at off, empty if it is longer than those looked for.
func sectionName(text []byte, off uint32) string {
	if uint64(off) >= uint64(len(text)) {
		return ""
	}
	text = text[off:]
	if i := bytes.IndexByte(text[:min(len(text), 64)], 0); i >= 0 {
		return string(text[:i])
	}
	return ""
}

// code says whether addr is executable.
func (img *image) code(addr uint64) bool {
	for _, s := range img.segments {
		if s.flags&pfExec != 0 && addr >= s.addr && addr-s.addr < s.filesz {
			return true
		}
	}
	return false
}

// memory returns what is loaded to addr. The caller bounds n.
func (img *image) memory(addr, n uint64) ([]byte, bool) {
	for _, s := range img.segments {
		if addr < s.addr || addr-s.addr > s.filesz || n > s.filesz-(addr-s.addr) {
			continue
		}
		b, err := img.read(s.offset+(addr-s.addr), n)
		return b, err == nil
	}
	return nil, false
}

// scan reads a section by windows that overlap and calls try with what follows
// every step bytes, at least need bytes, until try returns true; need is at least
// step. It reads no more than maxScan bytes of one image.
func (img *image) scan(s section, step, need uint64, try func(addr uint64, b []byte) bool) error {
	buf := make([]byte, min(window+need, s.size))
	for off := uint64(0); s.size-off >= need; {
		b := buf[:min(uint64(len(buf)), s.size-off)]
		if img.scanned += uint64(len(b)); img.scanned > maxScan {
			return fmt.Errorf("%w: nothing found in %d bytes", ErrTooLarge, uint64(maxScan))
		}
		if err := img.fill(b, s.offset+off); err != nil {
			return err
		}
		for ; uint64(len(b)) >= need; b = b[step:] {
			if try(s.addr+off, b) {
				return nil
			}
			off += step
		}
	}
	return nil
}

// relocations calls visit with every address to which the loader writes an
// address of the program, and that address.
func (img *image) relocations(visit func(at, value uint64)) error {
	le := binary.LittleEndian
	for _, s := range img.sections {
		if s.kind != shtRela {
			continue
		}
		err := img.scan(s, relaSize, relaSize, func(_ uint64, b []byte) bool {
			if info := le.Uint64(b[8:]); img.relative != 0 && info == uint64(img.relative) {
				visit(le.Uint64(b), le.Uint64(b[16:]))
			}
			return false
		})
		if err != nil {
			return err
		}
	}
	return nil
}
