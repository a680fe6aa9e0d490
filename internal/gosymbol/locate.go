// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
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

// ReadELF reads the line table of the ELF file of size bytes behind r.
func ReadELF(r io.ReaderAt, size int64) (*Table, error) {
	in, err := Locate(r, size)
	if err != nil {
		return nil, err
	}
	return Read(in)
}

// Locate finds what Read takes in the ELF file of size bytes behind r. The Input
// holds the section of the line table, and reads r again when its Memory is
// called. Beside that section Locate reads 256 MiB at most, of Go programs their
// data or, where the loader is to write addresses, the relocations.
func Locate(r io.ReaderAt, size int64) (Input, error) {
	img, err := open(r, size)
	if err != nil {
		return Input{}, err
	}
	s, err := img.findTable()
	if err != nil {
		return Input{}, err
	}
	if s.size > maxTable {
		return Input{}, fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, s.size, maxTable)
	}
	in := Input{Address: s.addr, Memory: img.memory}
	if in.Table, err = img.read(s.offset, s.size); err != nil {
		return Input{}, err
	}
	h, err := parseHeader(in.Table, s.size)
	if err != nil {
		return Input{}, err
	}
	if h.word == pointerSize {
		if err := img.relocate(in.Table, in.Address); err != nil {
			return Input{}, err
		}
	}
	m, ok, err := img.findModule(s.addr, h)
	if err != nil {
		return Input{}, err
	}
	if ok {
		in.Text = m[moduleText]
		if h.goFunc != 0 {
			in.GoFunc = m[h.goFunc]
		}
	}
	return in, nil
}

// tableSections are the sections of the line table: those of executables at a
// fixed address and of all from Go 1.26 on, and position independent ones before.
var tableSections = []string{".gopclntab", ".data.rel.ro.gopclntab"}

// findTable returns where the line table is: its section, or the rest of one
// from where the table begins.
func (img *image) findTable() (section, error) {
	goProgram := false
	for _, s := range img.sections {
		if slices.Contains(tableSections, s.name) {
			return s, nil
		}
		goProgram = goProgram || s.name == ".go.buildinfo" || s.name == ".note.go.buildid"
	}
	if !goProgram { // not worth the search
		return section{}, ErrNoTable
	}
	for _, s := range img.sections {
		if s.name != ".data.rel.ro" {
			continue
		}
		end, found := s.addr+s.size, section{}
		err := img.scan(s, pointerSize, headerSize, func(addr uint64, b []byte) bool {
			if b[7] != pointerSize || b[3] != 0xff || b[2] != 0xff || b[1] != 0xff {
				return false
			}
			if _, err := parseHeader(b, end-addr); err != nil {
				return false
			}
			found = s
			found.addr, found.offset, found.size = addr, s.offset+(addr-s.addr), end-addr
			return true
		})
		if err != nil || found.size != 0 {
			return found, err
		}
	}
	return section{}, ErrNoTable
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
	for _, s := range img.sections {
		if s.name != ".go.module" && s.name != ".noptrdata" && s.name != ".data" {
			continue
		}
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
		if b, ok := img.memory(a, moduleWords*pointerSize); ok {
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
