// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"debug/elf"
	"encoding/binary"
	"fmt"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

const (
	relaSize = 24
	// maxScan bounds what Locate reads of a file beside the line table.
	maxScan = 256 << 20
	// scanWindow is how much of the file is in memory during that.
	scanWindow = 64 << 10
)

// image is an ELF file in which the line table is looked for.
type image struct {
	*elffile.File
	sections []elffile.Section
	scanned  uint64
}

// loaded says whether a section is in the file as it will be in memory.
func (img *image) loaded(s elffile.Section) bool {
	return s.Flags&(elf.SHF_ALLOC|elf.SHF_COMPRESSED) == elf.SHF_ALLOC && s.Type != elf.SHT_NOBITS && img.Holds(s.Offset, s.Size)
}

// named returns the sections with these names, empty ones for what is not loaded.
func (img *image) named(names ...string) ([]elffile.Section, error) {
	found, err := img.Named(img.sections, names...)
	for i, s := range found {
		if !img.loaded(s) {
			found[i] = elffile.Section{}
		}
	}
	return found, err
}

// code says whether addr is executable.
func (img *image) code(addr uint64) bool {
	for _, s := range img.Segments {
		if s.Executable() && addr >= s.Addr && addr-s.Addr < s.Filesz {
			return true
		}
	}
	return false
}

// memory fills a buffer with what is loaded to addr.
func (img *image) memory(addr uint64, to []byte) bool {
	n := uint64(len(to))
	for _, s := range img.Segments {
		if s.Type != elf.PT_LOAD || addr < s.Addr || addr-s.Addr > s.Filesz || n > s.Filesz-(addr-s.Addr) {
			continue
		}
		return img.Fill("memory", to, s.Offset+(addr-s.Addr)) == nil
	}
	return false
}

// scan reads a section by windows that overlap and calls try with what follows
// every step bytes, at least need bytes, until try returns true; need is at least
// step. It reads no more than maxScan bytes of one image.
func (img *image) scan(s elffile.Section, step, need uint64, try func(addr uint64, b []byte) bool) error {
	buf := make([]byte, min(scanWindow+need, s.Size))
	for off := uint64(0); s.Size-off >= need; {
		b := buf[:min(uint64(len(buf)), s.Size-off)]
		if img.scanned += uint64(len(b)); img.scanned > maxScan {
			return fmt.Errorf("%w: nothing found in %d bytes", ErrTooLarge, uint64(maxScan))
		}
		if err := img.Fill("section", b, s.Offset+off); err != nil {
			return err
		}
		for ; uint64(len(b)) >= need; b = b[step:] {
			if try(s.Addr+off, b) {
				return nil
			}
			off += step
		}
	}
	return nil
}

// relative is the relocation that adds where the program is loaded, by machine
// (psABIs, R_X86_64_RELATIVE and R_AARCH64_RELATIVE).
var relative = map[elf.Machine]uint64{
	elf.EM_X86_64:  uint64(elf.R_X86_64_RELATIVE),
	elf.EM_AARCH64: uint64(elf.R_AARCH64_RELATIVE),
}

// relocations calls visit with every address to which the loader writes an
// address of the program, and that address.
func (img *image) relocations(visit func(at, value uint64)) error {
	le := binary.LittleEndian
	kind, ok := relative[img.Machine]
	if !ok {
		return nil
	}
	for _, s := range img.sections {
		if s.Type != elf.SHT_RELA || !img.loaded(s) {
			continue
		}
		err := img.scan(s, relaSize, relaSize, func(_ uint64, b []byte) bool {
			if le.Uint64(b[8:]) == kind {
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
