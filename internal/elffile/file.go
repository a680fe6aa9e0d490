// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package elffile

import (
	"debug/elf" // constants only: its readers allocate what the file claims
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What can be wrong with a file. The functions of this package wrap one of
// these, or an I/O error.
var (
	// ErrNotELF: the file does not start with an ELF header.
	ErrNotELF = errors.New("not an ELF file")
	// ErrUnsupported: an ELF file, but not 64-bit little-endian.
	ErrUnsupported = errors.New("not a 64-bit little-endian ELF file")
	// ErrDamaged: what the file says about itself cannot be.
	ErrDamaged = errors.New("damaged ELF file")
	// ErrTooLarge: the file may be right, but exceeds a limit of its reader.
	ErrTooLarge = errors.New("ELF file exceeds a limit")
	// ErrCompression: a section is compressed in a way that is not understood.
	ErrCompression = errors.New("unsupported compression of a section")
)

const (
	headerSize  = 64
	segmentSize = 56
	sectionSize = 64

	// maxSegments is what the kernel accepts: 64 KiB of program headers
	// (fs/binfmt_elf.c, load_elf_phdrs, v6.12). More cannot be running.
	maxSegments = 65536 / segmentSize
	// maxSections is all that e_shnum can say. Executables have dozens; only
	// relocatable files need the extension for more.
	maxSections = 65536
)

// File is an ELF file while it is being read: its headers, checked.
type File struct {
	// Type says what it is for (e_type), Machine is the architecture (e_machine).
	Type    elf.Type
	Machine elf.Machine
	// Segments are the program headers, in the order of the file.
	Segments []Segment

	r    io.ReaderAt
	size uint64

	phoff, shoff uint64
	phnum, shnum int
	shstrndx     uint32
}

// Open reads the ELF header and the program headers of the file of size bytes
// behind r.
func Open(r io.ReaderAt, size int64) (*File, error) {
	if size < 0 {
		return nil, fmt.Errorf("%w: size is %d", ErrDamaged, size)
	}
	f := &File{r: r, size: uint64(size)}
	if err := f.readHeader(); err != nil {
		return nil, err
	}
	if err := f.readSegments(); err != nil {
		return nil, err
	}
	return f, nil
}

// Read returns n bytes at off, if the file has them. The caller bounds n; what
// names them in errors.
func (f *File) Read(what string, off, n uint64) ([]byte, error) {
	if !f.Holds(off, n) {
		return nil, fmt.Errorf("%w: %s (%d bytes at %d) is beyond the end (%d)", ErrDamaged, what, n, off, f.size)
	}
	buf := make([]byte, n)
	return buf, f.Fill(what, buf, off)
}

// Fill fills buf from off.
func (f *File) Fill(what string, buf []byte, off uint64) error {
	if err := ReadFull(f.r, buf, int64(off)); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

// Holds says whether the file has n bytes at off.
func (f *File) Holds(off, n uint64) bool { return off <= f.size && n <= f.size-off }

// ReadFull fills buf from off. A file that became shorter is an error.
func ReadFull(r io.ReaderAt, buf []byte, off int64) error {
	n, err := r.ReadAt(buf, off)
	switch {
	case n == len(buf):
		return nil // ReadAt may say io.EOF with the last byte
	case err == nil || err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// readHeader reads the ELF header.
func (f *File) readHeader() error {
	if f.size < headerSize {
		return fmt.Errorf("%w: %d bytes", ErrNotELF, f.size)
	}
	h, err := f.Read("ELF header", 0, headerSize)
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
	f.Type = elf.Type(le.Uint16(h[16:]))
	f.Machine = elf.Machine(le.Uint16(h[18:]))
	f.phoff, f.shoff = le.Uint64(h[32:]), le.Uint64(h[40:])
	f.phnum, f.shnum = int(le.Uint16(h[56:])), int(le.Uint16(h[60:]))
	f.shstrndx = uint32(le.Uint16(h[62:]))
	if s := le.Uint16(h[54:]); f.phnum > 0 && s != segmentSize {
		return fmt.Errorf("%w: program headers of %d bytes", ErrDamaged, s)
	}
	if s := le.Uint16(h[58:]); f.shnum > 0 && s != sectionSize {
		return fmt.Errorf("%w: section headers of %d bytes", ErrDamaged, s)
	}
	return nil
}
