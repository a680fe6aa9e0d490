// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

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
	symbolSize = 24

	// maxScan bounds the entries looked at per symbol table, maxFunctions the
	// function symbols kept. A Go program of 100 MB has some 100,000.
	maxScan      = 4 << 20
	maxFunctions = 512 << 10
	// maxStrings bounds one string table.
	maxStrings = 64 << 20
	// maxName cuts longer names. It bounds the work a file of overlapping names
	// can cause; mangled C++ names beyond it exist, but not whole in any view.
	maxName = 8 << 10
)

// function is a function symbol while the file is being read.
type function struct {
	start, end uint64 // end is start for a symbol without size
	name       uint32 // offset in the string table
	length     uint16 // of the name
	rank       uint8  // lower is preferred among symbols of the same address
	strings    uint8  // which string table
}

// The preference among symbols at one address. Equal ones are told apart by
// leading underscores, length and place in the file, so the choice depends on
// nothing but the file.
const (
	rankGlobal = iota << 3
	rankLocal
	rankWeak
	rankUntyped

	maxUnderscores = 7 // the low bits of the rank
)

// functions is what is collected of a file.
type functions struct {
	segments []Segment
	strings  [][]byte
	all      []function
	// whole: there was a full symbol table (.symtab) that has static functions, so that what
	// lies between two functions is of the first if that has no size. strip -x removes those
	// and leaves the table, with its files. All programs have some, of what starts them.
	whole bool

	// Of entries of procedure linkage tables: which of the strings are their names,
	// 0 if there are none, and where in it they are by label; names of dynamic symbols;
	// functions by start.
	stubTable uint8
	stubTexts map[uint64]uint32
	stubNames []byte
	starts    map[uint64]int
}

// readFunctions reads the functions of a file, as far as the options ask for them: those of
// a Go program, of which it returns the index, and its function symbols. What is damaged
// leaves the rest.
func readFunctions(img *image, segments []Segment) (t table, golang *Index, err error) {
	fs := functions{segments: segments}
	var errs []error
	if img.options.Go {
		golang, err = fs.readGo(img.source)
		errs = append(errs, err)
	}
	if img.options.Native {
		errs = append(errs, fs.readSymbols(img))
	}
	t, err = fs.compile(codeSections(img.sections))
	return t, golang, errors.Join(append(errs, err)...)
}

// readSymbols reads .symtab and .dynsym, and of a file that was stripped those of its
// separate debug file and .gnu_debugdata.
func (fs *functions) readSymbols(img *image) error {
	errs := []error{fs.readTables(img.source)}
	if !fs.whole {
		debug, err := img.stripped()
		if debug != nil {
			err = fs.readTables(*debug)
		}
		errs = append(errs, err)
	}
	if !fs.whole {
		errs = append(errs, fs.readDebugData(img.source))
	}
	return errors.Join(append(errs, fs.readStubs(img.source))...)
}

// readTables reads .symtab and .dynsym.
func (fs *functions) readTables(img source) error {
	var errs []error
	for _, kind := range []elf.SectionType{elf.SHT_SYMTAB, elf.SHT_DYNSYM} {
		// There is at most one of each (gABI chapter 4, sh_type).
		i := slices.IndexFunc(img.sections, func(s elffile.Section) bool { return s.Type == kind })
		if i < 0 {
			continue
		}
		static, err := fs.readTable(img, img.sections[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("%v: %w", kind, err))
		} else if kind == elf.SHT_SYMTAB && static {
			fs.whole = true
		}
	}
	return errors.Join(errs...)
}

// readTable appends the function symbols of one symbol table, and says whether there are
// static functions among them.
func (fs *functions) readTable(img source, s elffile.Section) (static bool, err error) {
	if s.Compressed() {
		return false, fmt.Errorf("%w: compressed", ErrDamaged)
	}
	if s.Entsize != symbolSize {
		return false, fmt.Errorf("%w: symbols of %d bytes", ErrDamaged, s.Entsize)
	}
	if s.Size/symbolSize > maxScan {
		return false, fmt.Errorf("%w: %d symbols, at most %d are read", ErrTooLarge, s.Size/symbolSize, maxScan)
	}
	names, err := readStrings(img, s.Link)
	if err != nil {
		return false, err
	}
	fs.strings = append(fs.strings, names)
	const chunk = 2048 * symbolSize
	for off := uint64(0); off < s.Size; off += chunk {
		buf, err := img.Read("symbols", s.Offset+off, min(chunk, s.Size-off))
		if err != nil {
			return false, err
		}
		for len(buf) >= symbolSize {
			static = static || isStatic(buf)
			fs.add(buf)
			buf = buf[symbolSize:]
		}
		if len(fs.all) > maxFunctions {
			return false, fmt.Errorf("%w: more than %d function symbols", ErrTooLarge, maxFunctions)
		}
	}
	return static, nil
}

// readStrings reads the string table that is section i.
func readStrings(img source, i uint32) ([]byte, error) {
	if uint64(i) >= uint64(len(img.sections)) {
		return nil, fmt.Errorf("%w: no section %d for the names", ErrDamaged, i)
	}
	s := img.sections[i]
	if s.Type != elf.SHT_STRTAB || s.Compressed() {
		return nil, fmt.Errorf("%w: section %d holds no names", ErrDamaged, i)
	}
	if s.Size > maxStrings {
		return nil, fmt.Errorf("%w: %d bytes of names, at most %d are read", ErrTooLarge, s.Size, maxStrings)
	}
	return img.Read("names", s.Offset, s.Size)
}

// add keeps the symbol b if it is a named function inside an executable segment
// (gABI chapter 4, symbol table). Assembly gives some functions a size and no type.
func (fs *functions) add(b []byte) {
	le := binary.LittleEndian
	name, value, size := le.Uint32(b), le.Uint64(b[8:]), le.Uint64(b[16:])
	if t := elf.ST_TYPE(b[4]); t != elf.STT_FUNC && t != elf.STT_GNU_IFUNC && (t != elf.STT_NOTYPE || size == 0) {
		return
	}
	if elf.SectionIndex(le.Uint16(b[6:])) == elf.SHN_UNDEF {
		return
	}
	names := fs.strings[len(fs.strings)-1]
	if uint64(name) >= uint64(len(names)) {
		return
	}
	end, ok := fs.clip(value, size)
	if !ok {
		return
	}
	length := len(unversioned(names[name:][:nameLength(names[name:])]))
	if length == 0 {
		return
	}
	fs.all = append(fs.all, function{
		start: value, end: end, name: name, length: uint16(length),
		rank: rank(b[4], names[name:][:length]), strings: uint8(len(fs.strings) - 1),
	})
}

// isStatic tells a function that other object files do not see. Linkers make hidden ones
// local, which are left by ld -x.
func isStatic(b []byte) bool {
	return elf.ST_TYPE(b[4]) == elf.STT_FUNC && elf.ST_BIND(b[4]) == elf.STB_LOCAL && elf.ST_VISIBILITY(b[5]) == elf.STV_DEFAULT
}

// clip returns the end of a symbol, at most the end of its segment.
func (fs *functions) clip(start, size uint64) (end uint64, ok bool) {
	for _, s := range fs.segments {
		if start >= s.Address && start-s.Address < s.Size {
			return start + min(size, s.Size-(start-s.Address)), true
		}
	}
	return 0, false
}

func rank(info byte, name []byte) uint8 {
	r := uint8(rankLocal)
	switch bind := elf.ST_BIND(info); {
	case elf.ST_TYPE(info) == elf.STT_NOTYPE:
		r = rankUntyped
	case bind == elf.STB_GLOBAL, bind == elf.STB_LOOS: // STB_LOOS is STB_GNU_UNIQUE
		r = rankGlobal
	case bind == elf.STB_WEAK:
		r = rankWeak
	}
	return r + uint8(leadingUnderscores(name))
}

// leadingUnderscores counts them, up to maxUnderscores.
func leadingUnderscores(name []byte) int {
	name = name[:min(len(name), maxUnderscores)]
	for i, c := range name {
		if c != '_' {
			return i
		}
	}
	return len(name)
}

// nameLength is the length up to the zero byte. A name without one is cut.
func nameLength(b []byte) int {
	b = b[:min(len(b), maxName)]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return i
	}
	return len(b)
}

// unversioned cuts a symbol version off: linkers write foo@VERSION and
// foo@@VERSION into .symtab. Other names may hold an @, too (Go struct tags).
func unversioned(name []byte) []byte {
	i := bytes.LastIndexByte(name, '@')
	if i < 0 || i == len(name)-1 {
		return name
	}
	for _, c := range name[i+1:] {
		if c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return name
		}
	}
	if i > 0 && name[i-1] == '@' {
		i--
	}
	if i == 0 {
		return name
	}
	return name[:i]
}
