// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package elffile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
)

// maxSectionNames bounds the string table of the section names. Executables have
// some hundred bytes of them.
const maxSectionNames = 4 << 20

// Section is a section header (gABI chapter 4).
type Section struct {
	Type  elf.SectionType
	Flags elf.SectionFlag
	// Virtual address, offset and size in the file.
	Addr, Offset, Size uint64
	// Link is the index of a section, by type that of a string table.
	Link uint32
	// Entsize is the size of an entry, if the section is a table.
	Entsize uint64

	name uint32 // offset in the string table
}

// InFile says whether the section takes space in the file.
func (s Section) InFile() bool { return s.Type != elf.SHT_NULL && s.Type != elf.SHT_NOBITS }

// Compressed says whether its content is compressed.
func (s Section) Compressed() bool { return s.Flags&elf.SHF_COMPRESSED != 0 }

// Sections reads the section headers. A file may have none.
func (f *File) Sections() ([]Section, error) {
	if f.shoff == 0 {
		return nil, nil
	}
	n := f.shnum
	if n == 0 {
		var err error
		if n, err = f.sectionCount(); err != nil {
			return nil, err
		}
	}
	buf, err := f.Read("section headers", f.shoff, uint64(n)*sectionSize)
	if err != nil {
		return nil, err
	}
	sections := make([]Section, n)
	for i := range sections {
		sections[i] = parseSection(buf[i*sectionSize:])
	}
	return sections, nil
}

// sectionCount reads the number of sections from where it is when e_shnum
// cannot hold it (gABI chapter 4, e_shnum).
func (f *File) sectionCount() (int, error) {
	buf, err := f.Read("first section header", f.shoff, sectionSize)
	if err != nil {
		return 0, err
	}
	n := parseSection(buf).Size
	if n > maxSections {
		return 0, fmt.Errorf("%w: %d sections, at most %d are read", ErrTooLarge, n, maxSections)
	}
	return int(n), nil
}

func parseSection(b []byte) Section {
	le := binary.LittleEndian
	return Section{
		name: le.Uint32(b), Type: elf.SectionType(le.Uint32(b[4:])), Flags: elf.SectionFlag(le.Uint64(b[8:])),
		Addr: le.Uint64(b[16:]), Offset: le.Uint64(b[24:]), Size: le.Uint64(b[32:]),
		Link: le.Uint32(b[40:]), Entsize: le.Uint64(b[56:]),
	}
}

// Named returns the first of the sections with each of the names, in their
// order. Of one that is not there the type is SHT_NULL.
func (f *File) Named(sections []Section, names ...string) ([]Section, error) {
	found := make([]Section, len(names))
	table, err := f.sectionNames(sections)
	if err != nil {
		return nil, err
	}
	for _, s := range sections {
		if uint64(s.name) >= uint64(len(table)) {
			continue
		}
		for i, name := range names {
			if found[i].Type == elf.SHT_NULL && hasName(table[s.name:], name) {
				found[i] = s
			}
		}
	}
	return found, nil
}

// Every returns all sections with a name.
func (f *File) Every(sections []Section, name string) (out []Section, err error) {
	table, err := f.sectionNames(sections)
	for _, s := range sections {
		if uint64(s.name) < uint64(len(table)) && hasName(table[s.name:], name) {
			out = append(out, s)
		}
	}
	return out, err
}

// sectionNames reads the string table of the section names, nil if they have none.
func (f *File) sectionNames(sections []Section) ([]byte, error) {
	i := f.shstrndx
	if len(sections) == 0 || elf.SectionIndex(i) == elf.SHN_UNDEF { // gABI chapter 4, e_shstrndx
		return nil, nil
	}
	if elf.SectionIndex(i) == elf.SHN_XINDEX {
		i = sections[0].Link // gABI chapter 4, e_shstrndx
	}
	if uint64(i) >= uint64(len(sections)) || sections[i].Type != elf.SHT_STRTAB {
		return nil, fmt.Errorf("%w: section %d holds no section names", ErrDamaged, i)
	}
	if sections[i].Size > maxSectionNames {
		return nil, fmt.Errorf("%w: %d bytes of section names, at most %d are read", ErrTooLarge, sections[i].Size, maxSectionNames)
	}
	return f.Read("section names", sections[i].Offset, sections[i].Size)
}

// hasName says whether the string that begins table is name.
func hasName(table []byte, name string) bool {
	rest, ok := bytes.CutPrefix(table, []byte(name))
	return ok && len(rest) > 0 && rest[0] == 0
}
