// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package threadlocal

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

const (
	symbolSize     = 24
	relocationSize = 24
	dynamicSize    = 16

	// maxTables bounds the tables that are read of a file, all together: libraries have some
	// megabytes.
	maxTables = 64 << 20
)

// file is one whose tables are read, as long as bytes are left of maxTables.
type file struct {
	*elffile.File
	left uint64
}

func (f *file) table(what string, s elffile.Section) ([]byte, error) {
	content, err := f.Content(what, s, f.left)
	if err == nil && s.InFile() {
		f.left -= max(s.Size, uint64(len(content)))
	}
	return content, err
}

// ErrModel: the variable is there, but nothing tells where.
var ErrModel = errors.New("thread-local variable without a relocation that is understood")

// access is how code finds the variable, which the linker decides.
type access uint8

const (
	// fixed: at an offset that the file tells, as in executables (local exec).
	fixed access = iota + 1
	// offset: the dynamic linker writes the offset down (initial exec).
	offset
	// module: it writes the number of the module down (general dynamic).
	module
	// descriptor: it writes a function and its argument down (TLSDESC).
	descriptor
)

// relocations lead to the access of a variable (ELF psABI of x86-64, 4.4.1, and of
// AArch64, 5.7.11.4).
var relocations = map[elf.Machine]map[uint32]access{
	elf.EM_X86_64: {
		uint32(elf.R_X86_64_TPOFF64): offset, uint32(elf.R_X86_64_DTPMOD64): module, uint32(elf.R_X86_64_TLSDESC): descriptor,
	},
	elf.EM_AARCH64: {
		uint32(elf.R_AARCH64_TLS_TPREL64): offset, uint32(elf.R_AARCH64_TLS_DTPMOD64): module, uint32(elf.R_AARCH64_TLSDESC): descriptor,
	},
}

// Variable is what a file tells of a thread-local variable. Its zero value is none.
type Variable struct {
	access access
	// slot is the address, as the file has it, of what the dynamic linker writes down.
	slot uint64
	// value is the offset in the block of the module, or from the thread pointer if that
	// is fixed.
	value int64
	// above: variables are above the thread pointer, not below.
	above bool
}

// Known reports whether there is such a variable.
func (v Variable) Known() bool { return v.access != 0 }

// Fixed reports whether the file alone tells where the variable is, as that of an
// executable does.
func (v Variable) Fixed() bool { return v.access == fixed }

// Find looks for a pointer that the file exports. Few files have any variable of threads:
// of the others nothing is read.
func Find(in *elffile.File, sections []elffile.Section, name string) (Variable, error) {
	f := &file{in, maxTables}
	i := slices.IndexFunc(f.Segments, func(s elffile.Segment) bool { return s.Type == elf.PT_TLS })
	if i < 0 {
		return Variable{}, nil
	}
	n := slices.IndexFunc(sections, func(s elffile.Section) bool { return s.Type == elf.SHT_DYNSYM })
	if n < 0 {
		return Variable{}, nil
	}
	index, value, err := findSymbol(f, sections, n, name)
	if index == 0 || err != nil {
		return Variable{}, err
	}
	v := Variable{value: int64(value), above: f.Machine == elf.EM_AARCH64}
	if err := v.relocate(f, sections, uint32(n), index); v.Known() || err != nil {
		return v, err
	}
	if ok, err := isExecutable(f, sections); !ok {
		return Variable{}, errors.Join(ErrModel, err)
	}
	v.access, v.value = fixed, int64(value)+blockOf(f.Segments[i], v.above)
	return v, nil
}

// findSymbol returns the index of a symbol that the file defines, and its offset in the
// block; index 0: there is none.
func findSymbol(f *file, sections []elffile.Section, table int, name string) (index uint32, value uint64, err error) {
	link := sections[table].Link
	if uint64(link) >= uint64(len(sections)) {
		return 0, 0, fmt.Errorf("%w: dynamic symbols without names", elffile.ErrDamaged)
	}
	names, err := f.table("names of dynamic symbols", sections[link])
	if err != nil || !bytes.Contains(names, []byte(name+"\x00")) {
		return 0, 0, err
	}
	symbols, err := f.table("dynamic symbols", sections[table])
	if err != nil {
		return 0, 0, err
	}
	le := binary.LittleEndian
	for i := uint32(0); len(symbols) >= symbolSize; i, symbols = i+1, symbols[symbolSize:] {
		at := uint64(le.Uint32(symbols))
		if elf.ST_TYPE(symbols[4]) != elf.STT_TLS || elf.SectionIndex(le.Uint16(symbols[6:])) == elf.SHN_UNDEF ||
			at >= uint64(len(names)) || !bytes.HasPrefix(names[at:], []byte(name+"\x00")) || le.Uint64(symbols[16:]) != 8 {
			continue
		}
		return i, le.Uint64(symbols[8:]), nil
	}
	return 0, 0, nil
}

// relocate finds what the dynamic linker writes of the symbol. A symbol that nobody can
// replace may be named by its offset instead.
func (v *Variable) relocate(f *file, sections []elffile.Section, table, symbol uint32) error {
	le := binary.LittleEndian
	for _, s := range sections {
		if s.Type != elf.SHT_RELA || s.Link != table {
			continue
		}
		all, err := f.table("dynamic relocations", s)
		if err != nil {
			return err
		}
		for ; len(all) >= relocationSize; all = all[relocationSize:] {
			info, addend := le.Uint64(all[8:]), int64(le.Uint64(all[16:]))
			a := relocations[f.Machine][uint32(info)]
			own := uint32(info>>32) == symbol && addend == 0
			if own || uint32(info>>32) == 0 && addend == v.value && a != module {
				v.prefer(a, le.Uint64(all))
			}
		}
	}
	return nil
}

// prefer takes what needs the least of the C library.
func (v *Variable) prefer(a access, slot uint64) {
	if a != 0 && (v.access == 0 || a == offset) {
		v.access, v.slot = a, slot
	}
}

// isExecutable reports whether the file is a program: its block is the first.
func isExecutable(f *file, sections []elffile.Section) (bool, error) {
	if f.Type == elf.ET_EXEC {
		return true, nil
	}
	for _, s := range sections {
		if s.Type != elf.SHT_DYNAMIC {
			continue
		}
		entries, err := f.table("dynamic section", s)
		if err != nil {
			return false, err
		}
		le := binary.LittleEndian
		for ; len(entries) >= dynamicSize; entries = entries[dynamicSize:] {
			if elf.DynTag(le.Uint64(entries)) == elf.DT_FLAGS_1 {
				return elf.DynFlag1(le.Uint64(entries[8:]))&elf.DF_1_PIE != 0, nil
			}
		}
	}
	return false, nil
}

// blockOf returns where the block of a program is from the thread pointer: right below it
// (variant II), or above two words (variant I), as near as its alignment lets it.
func blockOf(s elffile.Segment, above bool) int64 {
	const words = 16
	last := max(s.Align, 1) - 1
	if above {
		return int64(words + (s.Addr-words)&last)
	}
	return -int64(s.Memsz + (-s.Addr-s.Memsz)&last)
}
