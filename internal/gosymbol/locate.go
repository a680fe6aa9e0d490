// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

const (
	// Words of the module description: runtime/symtab.go, Go 1.16 to 1.26.
	moduleFuncIndex, moduleText = 16, 22
	moduleWords                 = 41
	// maxModules bounds how many places are considered that relocations could make
	// into the module description.
	maxModules = 16
)

// moduleParts are the words of the module description that hold the addresses
// of the parts of the line table.
var moduleParts = [5]int{1, 4, 7, 10, 13}

// Locate finds the line table of an ELF file with the given sections. The Input reads the
// file. Locate reads 256 MiB at most, of Go programs their data or, where the loader is to
// write addresses, the relocations.
func Locate(f *elffile.File, sections []elffile.Section) (Input, error) {
	img := &image{File: f, sections: sections}
	s, err := img.findTable()
	if err != nil {
		return Input{}, err
	}
	if s.Size > maxTable {
		return Input{}, fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, s.Size, maxTable)
	}
	head, err := img.Read("line table", s.Offset, min(s.Size, headerSize))
	if err != nil {
		return Input{}, err
	}
	h, err := parseHeader(head, s.Size)
	if err != nil {
		return Input{}, err
	}
	in := Input{Size: s.Size, Address: s.Addr, offset: s.Offset, absolute: h.word == pointerSize}
	m, ok, err := img.findModule(s.Addr, h)
	if err != nil {
		return Input{}, err
	}
	if ok {
		in.Text = m[moduleText]
		if h.goFunc != 0 {
			in.GoFunc = m[h.goFunc]
		}
	}
	return in, img.attach(&in)
}

// attach gives the Input what reads the file.
func (img *image) attach(in *Input) error {
	in.Memory = img.memory
	if !in.absolute {
		in.Table = tableReader{img, in.offset}
		return nil
	}
	b, err := img.Read("line table", in.offset, in.Size)
	if err != nil {
		return err
	}
	in.Table = bytes.NewReader(b)
	return img.relocate(b, in.Address)
}

// tableReader reads what is behind an offset in the file.
type tableReader struct {
	img    *image
	offset uint64
}

func (t tableReader) ReadAt(to []byte, at int64) (int, error) {
	if err := t.img.Fill("line table", to, t.offset+uint64(at)); err != nil {
		return 0, err
	}
	return len(to), nil
}

// findTable returns where the line table is: its section, which has another name in
// position independent executables before Go 1.26, or the rest of one from where the
// table begins.
func (img *image) findTable() (elffile.Section, error) {
	found, err := img.named(".gopclntab", ".data.rel.ro.gopclntab",
		".go.buildinfo", ".note.go.buildid", ".data.rel.ro")
	if err != nil {
		return elffile.Section{}, err
	}
	for _, s := range found[:2] {
		if s.Size > 0 {
			return s, nil
		}
	}
	goProgram, s := found[2].Size+found[3].Size > 0, found[4]
	if !goProgram { // not worth the search
		return s, ErrNoTable
	}
	end, ok := s.Addr+s.Size, false
	err = img.scan(s, pointerSize, headerSize, func(addr uint64, b []byte) bool {
		if b[7] != pointerSize || b[3] != 0xff || b[2] != 0xff || b[1] != 0xff {
			return false
		}
		if _, err := parseHeader(b, end-addr); err != nil {
			return false
		}
		s.Offset, s.Addr, s.Size, ok = s.Offset+(addr-s.Addr), addr, end-addr, true
		return true
	})
	if err == nil && !ok {
		err = ErrNoTable
	}
	return s, err
}

// relocate writes into b, which is at addr, what the loader would.
func (img *image) relocate(b []byte, addr uint64) error {
	return img.relocations(func(at, value uint64) {
		if off := at - addr; at >= addr && off < uint64(len(b)) && uint64(len(b))-off >= pointerSize {
			binary.LittleEndian.PutUint64(b[off:], value)
		}
	})
}

type module [moduleWords]uint64

// findModule returns the module description of the line table at addr.
func (img *image) findModule(addr uint64, h header) (m module, ok bool, err error) {
	places, err := img.named(".go.module", ".noptrdata", ".data")
	if err != nil {
		return m, false, err
	}
	for _, s := range places {
		err := img.scan(s, pointerSize, moduleWords*pointerSize, func(_ uint64, b []byte) bool {
			if binary.LittleEndian.Uint64(b) == addr {
				for i := range m {
					m[i] = binary.LittleEndian.Uint64(b[i*pointerSize:])
				}
				ok = img.describes(&m, addr, h)
			}
			return ok
		})
		if err != nil || ok {
			return m, ok, err
		}
	}
	return img.findModuleInRelocations(addr, h)
}

// findModuleInRelocations does so if the loader is to write the addresses. Other
// words of the description are in the file.
func (img *image) findModuleInRelocations(addr uint64, h header) (m module, ok bool, err error) {
	var at []uint64
	err = img.relocations(func(a, value uint64) {
		if value == addr && len(at) < maxModules {
			at = append(at, a)
		}
	})
	if err != nil || len(at) == 0 {
		return m, false, err
	}
	candidates := make([]module, len(at))
	for i, a := range at {
		b := make([]byte, moduleWords*pointerSize)
		if img.memory(a, b) {
			for k := range candidates[i] {
				candidates[i][k] = binary.LittleEndian.Uint64(b[k*pointerSize:])
			}
		}
	}
	err = img.relocations(func(a, value uint64) {
		for i, start := range at {
			if off := a - start; a >= start && off < moduleWords*pointerSize && off%pointerSize == 0 {
				candidates[i][off/pointerSize] = value
			}
		}
	})
	for _, c := range candidates {
		if img.describes(&c, addr, h) {
			return c, true, err
		}
	}
	return m, false, err
}

// describes says whether m describes the line table at addr with the header h.
func (img *image) describes(m *module, addr uint64, h header) bool {
	if m[0] != addr || m[moduleFuncIndex] != addr+h.parts[4] || m[moduleFuncIndex+1] != h.funcs+1 {
		return false
	}
	for i, word := range moduleParts {
		if m[word] != addr+h.parts[i] {
			return false
		}
	}
	return img.code(m[moduleText])
}
