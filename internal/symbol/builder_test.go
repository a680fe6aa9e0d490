// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
)

// everything reads what there is in the file.
var everything = Options{Native: true, Go: true}

// Layout of the files that elfBuilder makes: code at codeOffset in the file and
// at codeAddress in memory, codeSize bytes of it; the sizes of the headers.
const (
	codeOffset  = 0x1000
	codeAddress = 0x401000
	codeSize    = 0x1000

	headerSize  = 64
	segmentSize = 56
	sectionSize = 64
)

// testSymbol is an entry of a symbol table.
type testSymbol struct {
	name        string
	value, size uint64
	bind        elf.SymBind
	kind        elf.SymType
	visibility  elf.SymVis
	undefined   bool
}

// fn is a function at an offset from codeAddress.
func fn(name string, offset, size uint64, bind elf.SymBind) testSymbol {
	return testSymbol{name: name, value: codeAddress + offset, size: size, bind: bind, kind: elf.STT_FUNC}
}

// elfBuilder makes small ELF files. The hooks damage the headers.
type elfBuilder struct {
	symtab, dynsym []testSymbol
	notes          []byte
	noSegmentNote  bool // notes in a section only
	hollow         bool // leave the code out: the file claims it, nobody reads it
	header         func(*elf.Header64)
	segments       func([]elf.Prog64)
	sections       func([]elf.Section64)
	text           extent // of the code section; all of the code if zero
}

// Sections, in this order.
const (
	secNull = iota
	secText
	secNote
	secSymtab
	secStrtab
	secDynsym
	secDynstr
	secCount
)

func (b elfBuilder) build() []byte {
	if b.text == (extent{}) {
		b.text = extent{codeAddress, codeAddress + codeSize}
	}
	body := bytes.NewBuffer(make([]byte, codeOffset+codeSize))
	if b.hollow {
		body.Truncate(headerSize + 3*segmentSize)
	}
	put := func(data []byte) (off, size uint64) {
		off = uint64(body.Len())
		body.Write(data)
		return off, uint64(len(data))
	}
	sections := make([]elf.Section64, secCount)
	sections[secText] = elf.Section64{Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR),
		Addr: b.text.start, Off: codeOffset, Size: b.text.end - b.text.start}
	noteOff, noteSize := put(b.notes)
	sections[secNote] = elf.Section64{Type: uint32(elf.SHT_NOTE), Off: noteOff, Size: noteSize}
	for i, symbols := range [][]testSymbol{b.symtab, b.dynsym} {
		table, names := encodeSymbols(symbols)
		off, size := put(table)
		sections[secSymtab+2*i] = elf.Section64{Type: uint32(elf.SHT_SYMTAB), Off: off, Size: size,
			Link: uint32(secStrtab + 2*i), Entsize: symbolSize}
		off, size = put(names)
		sections[secStrtab+2*i] = elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: off, Size: size}
	}
	sections[secDynsym].Type = uint32(elf.SHT_DYNSYM)
	segments := []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Vaddr: 0x400000, Filesz: codeOffset, Memsz: codeOffset},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Off: codeOffset, Vaddr: codeAddress, Filesz: codeSize, Memsz: codeSize},
		{Type: uint32(elf.PT_NOTE), Off: noteOff, Filesz: noteSize},
	}
	if b.noSegmentNote {
		segments = segments[:2]
	}
	if b.segments != nil {
		b.segments(segments)
	}
	if b.sections != nil {
		b.sections(sections)
	}
	return b.finish(body, segments, sections)
}

// finish appends the section headers and writes the others into the first page.
func (b elfBuilder) finish(body *bytes.Buffer, segments []elf.Prog64, sections []elf.Section64) []byte {
	h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: 1, Ehsize: headerSize,
		Phoff: headerSize, Phentsize: segmentSize, Phnum: uint16(len(segments)),
		Shoff: uint64(body.Len()), Shentsize: sectionSize, Shnum: uint16(len(sections))}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	if b.header != nil {
		b.header(&h)
	}
	body.Write(encode(sections))
	out := body.Bytes()
	copy(out, encode(h))
	copy(out[headerSize:], encode(segments))
	return out
}

func encodeSymbols(symbols []testSymbol) (table, names []byte) {
	names = []byte{0}
	all := []elf.Sym64{{}}
	for _, s := range symbols {
		e := elf.Sym64{Name: uint32(len(names)), Info: elf.ST_INFO(s.bind, s.kind), Other: byte(s.visibility), Shndx: secText, Value: s.value, Size: s.size}
		if s.undefined {
			e.Shndx = uint16(elf.SHN_UNDEF)
		}
		all = append(all, e)
		names = append(append(names, s.name...), 0)
	}
	return encode(all), names
}

func encode(v any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// note encodes one ELF note.
func note(owner string, kind uint32, desc []byte) []byte {
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }
	b := encode([]uint32{uint32(len(owner)), uint32(len(desc)), kind})
	return pad(append(pad(append(b, owner...)), desc...))
}

// sparse is a file that begins with data and has zeros up to its size.
type sparse struct {
	data []byte
	size int64
}

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), s.size-off))
	clear(p[:n])
	if off < int64(len(s.data)) {
		copy(p[:n], s.data[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
