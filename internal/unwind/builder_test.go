// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// Layout of the files that elfBuilder makes, in memory.
const (
	codeAddress  = 0x10000
	codeSize     = 0x10000
	frameAddress = 0x30000
	headAddress  = 0x40000
)

// elfBuilder makes ELF files of call frame information. Their code takes no
// space in the file.
type elfBuilder struct {
	machine    elf.Machine // amd64 if zero
	eh, debug  []byte
	head       []byte // .eh_frame_hdr, which only a segment leads to
	noSections bool
	header     func(*elf.Header64)
	segments   func([]elf.Prog64)
	sections   func([]elf.Section64)
}

// Sections, in this order.
const (
	secNull = iota
	secNames
	secEH
	secDebug
	secCount
)

func (b elfBuilder) build() []byte {
	const names = "\x00.eh_frame\x00.debug_frame\x00"
	body := bytes.NewBuffer(make([]byte, 64+3*56))
	put := func(data []byte) (off, size uint64) {
		off = uint64(body.Len())
		body.Write(data)
		return off, uint64(len(data))
	}
	sections := make([]elf.Section64, secCount)
	section := func(i int, kind elf.SectionType, name uint32, addr uint64, data []byte) {
		off, size := put(data)
		sections[i] = elf.Section64{Type: uint32(kind), Name: name, Addr: addr, Off: off, Size: size}
	}
	section(secNames, elf.SHT_STRTAB, 0, 0, []byte(names))
	section(secEH, elf.SHT_PROGBITS, 1, frameAddress, b.eh)
	section(secDebug, elf.SHT_PROGBITS, 11, 0, b.debug)
	if b.eh == nil {
		sections[secEH].Name = 0
	}
	off, size := put(b.head)
	segments := []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: codeAddress, Memsz: codeSize},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Vaddr: frameAddress, Off: sections[secEH].Off,
			Filesz: uint64(len(b.eh)), Memsz: uint64(len(b.eh))},
		{Type: uint32(elf.PT_GNU_EH_FRAME), Flags: uint32(elf.PF_R), Vaddr: headAddress, Off: off, Filesz: size, Memsz: size},
	}
	if b.head == nil {
		segments[2].Type = uint32(elf.PT_NULL)
	}
	if b.segments != nil {
		b.segments(segments)
	}
	if b.sections != nil {
		b.sections(sections)
	}
	return b.finish(body, segments, sections)
}

// finish appends the section headers and writes the others into the beginning.
func (b elfBuilder) finish(body *bytes.Buffer, segments []elf.Prog64, sections []elf.Section64) []byte {
	h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: 1, Ehsize: 64,
		Phoff: 64, Phentsize: 56, Phnum: uint16(len(segments)), Shstrndx: secNames,
		Shoff: uint64(body.Len()), Shentsize: 64, Shnum: uint16(len(sections))}
	if b.machine != 0 {
		h.Machine = uint16(b.machine)
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	if b.noSections {
		h.Shoff, h.Shnum = 0, 0
	}
	if b.header != nil {
		b.header(&h)
	}
	body.Write(encode(sections))
	out := body.Bytes()
	copy(out, encode(h))
	copy(out[64:], encode(segments))
	return out
}

func encode(v any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// uleb and sleb encode LEB128 numbers.
func uleb(n uint64) []byte {
	var b []byte
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func sleb(n int64) []byte {
	var b []byte
	for ; n < -64 || n > 63; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n)&0x7f)
}

// op encodes an instruction: bytes as they are, int64 as SLEB128, int as ULEB128.
func op(code byte, operands ...any) []byte {
	b := []byte{code}
	for _, o := range operands {
		switch o := o.(type) {
		case int:
			b = append(b, uleb(uint64(o))...)
		case int64:
			b = append(b, sleb(o)...)
		case []byte:
			b = append(b, o...)
		}
	}
	return b
}

// block encodes an expression with its length.
func block(expression ...byte) []byte { return append(uleb(uint64(len(expression))), expression...) }

func seq(code ...[]byte) []byte { return bytes.Join(code, nil) }

// advance goes on n bytes of code, if the code alignment is one.
func advance(n byte) []byte { return []byte{cfaAdvanceLoc<<6 | n} }

// frameBuilder makes sections of call frame information.
type frameBuilder struct {
	data []byte
	eh   bool
	wide bool // lengths of eight bytes
}

// testCIE is a CIE; zero fields have the usual values of amd64.
type testCIE struct {
	version      byte
	augmentation string // "-" for none
	extra        []byte // augmentation data, before the encoding of 'R' at its end
	behind       []byte // augmentation data behind it
	encoding     byte
	codeAlign    uint64
	dataAlign    int64
	ra           uint64
	code         []byte // none if empty and not nil
}

var usualCode = seq(op(cfaDefCFA, 7, 8), op(cfaOffset<<6|16, 1))

func (c testCIE) withDefaults(eh bool) testCIE {
	if c.version == 0 {
		c.version = 1
	}
	if c.augmentation == "" && eh {
		c.augmentation = "zR"
	}
	if c.augmentation == "" || c.augmentation == "-" {
		c.augmentation = ""
	}
	if c.codeAlign == 0 {
		c.codeAlign = 1
	}
	if c.dataAlign == 0 {
		c.dataAlign = -8
	}
	if c.ra == 0 {
		c.ra = 16
	}
	if c.code == nil {
		c.code = usualCode
	}
	return c
}

// record appends a CIE or FDE and returns where it starts.
func (f *frameBuilder) record(id uint64, body []byte) int {
	start := len(f.data)
	width := 4
	if f.wide && !f.eh {
		width = 8
	}
	head := encode(id)[:width]
	if f.wide {
		f.data = append(f.data, 0xff, 0xff, 0xff, 0xff)
		f.data = append(f.data, encode(uint64(width+len(body)))...)
	} else {
		f.data = append(f.data, encode(uint32(width+len(body)))...)
	}
	f.data = append(append(f.data, head...), body...)
	return start
}

// at is the address at which the next record's ID is.
func (f *frameBuilder) idAt() int {
	if f.wide {
		return len(f.data) + 12
	}
	return len(f.data) + 4
}

func (f *frameBuilder) cie(c testCIE) int {
	c = c.withDefaults(f.eh)
	body := append([]byte{c.version}, c.augmentation...)
	body = append(body, 0)
	if c.version == 4 {
		body = append(body, 8, 0)
	}
	body = append(append(body, uleb(c.codeAlign)...), sleb(c.dataAlign)...)
	if c.version == 1 {
		body = append(body, byte(c.ra))
	} else {
		body = append(body, uleb(c.ra)...)
	}
	if len(c.augmentation) > 0 && c.augmentation[0] == 'z' {
		data := c.extra
		if bytes.ContainsRune([]byte(c.augmentation), 'R') {
			data = append(bytes.Clone(data), c.encoding)
		}
		data = append(bytes.Clone(data), c.behind...)
		body = append(append(body, uleb(uint64(len(data)))...), data...)
	}
	id := uint64(cieID64)
	if f.eh {
		id = 0
	}
	return f.record(id, append(body, c.code...))
}

// fde appends an FDE of a CIE. The addresses are encoded as they are to be.
func (f *frameBuilder) fde(cie int, addresses []byte, code ...[]byte) int {
	id := uint64(cie)
	body := bytes.Clone(addresses)
	if f.eh {
		id = uint64(f.idAt() - cie)
		body = append(body, 0) // augmentation data
	}
	return f.record(id, append(body, seq(code...)...))
}

// absolute are addresses as eight bytes each.
func absolute(offset, size uint64) []byte { return encode([]uint64{codeAddress + offset, size}) }
