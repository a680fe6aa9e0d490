// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"os/exec"
	"testing"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

const (
	textAddr  = 0x401000
	tableAddr = 0x500000
	dataAddr  = 0x600000
	magic116  = 0xfffffffa
	magic118  = 0xfffffff0
	magic120  = 0xfffffff1
)

var magics = []uint32{magic116, magic118, magic120}

// program is a line table in memory, and what else is taken of a program.
type program struct {
	Table                 []byte
	Address, Text, GoFunc uint64
	Memory                func(addr, n uint64) ([]byte, bool)
}

func (p program) input() Input {
	return Input{
		Table: bytes.NewReader(p.Table), Size: uint64(len(p.Table)), Address: p.Address, Text: p.Text, GoFunc: p.GoFunc,
		Memory: func(addr uint64, to []byte) bool {
			if p.Memory == nil {
				return false
			}
			b, ok := p.Memory(addr, uint64(len(to)))
			return ok && copy(to, b) == len(to)
		},
	}
}

// readAll reads all functions as one unit.
func readAll(in Input) (*Table, error) {
	r, err := open(in)
	if err != nil {
		return nil, err
	}
	return r.table(0, r.funcs)
}

// Functions is their number.
func (t *Table) Functions() int { return len(t.funcs) }

// Range returns the addresses of all functions, the end excluded.
func (t *Table) Range() (start, end uint64) {
	return t.text + uint64(t.starts[0]), t.text + uint64(t.starts[len(t.funcs)])
}

// filesOf returns the files of function i.
func (t *Table) filesOf(i int) []file {
	end := uint32(len(t.files))
	if i+1 < len(t.funcs) {
		end = t.funcs[i+1].files
	}
	return t.files[t.funcs[i].files:end]
}

// sample returns the line table of the go command, which unlike this test's program is
// built in one way only.
func sample(tb testing.TB) *Table {
	tb.Helper()
	path, err := exec.LookPath("go")
	if err != nil {
		tb.Fatal(err)
	}
	t, _ := readFile(tb, path)
	return t
}

// cut returns the functions of t from the first on, n of them.
func (t *Table) cut(first, n int) *Table {
	c := *t
	c.starts, c.funcs = c.starts[first:first+n+1], c.funcs[first:first+n]
	return &c
}

// length returns the size of the pc table that b begins with and its largest value. Other than
// measure it takes any.
func length(b []byte) (n int, largest int32) {
	value := int32(-1)
	largest = value
	for first := true; ; first = false {
		d, m := varint(b[n:])
		if n += m; d == 0 && !first {
			return n, largest
		}
		value += unzigzag(d)
		largest = max(largest, value)
		_, m = varint(b[n:])
		n += m
	}
}

// encode writes the functions of t as a version of the format does, the inline
// trees behind.
func encode(t *Table, magic uint32) program {
	l, le := layouts[magic], binary.LittleEndian
	base := t.starts[0]
	var names, pcs, trees, records, units, files []byte
	pcs = append(pcs, 0)
	offsets := map[string]uint32{}
	name := func(off uint32) uint32 {
		s := text(t.names, off)
		if _, ok := offsets[s]; !ok {
			offsets[s] = uint32(len(names))
			names = append(append(names, s...), 0)
		}
		return offsets[s]
	}
	table := func(off uint32) (uint32, int32) {
		if off == 0 {
			return 0, -1
		}
		n, largest := length(t.pcs[off:])
		pcs = append(pcs, t.pcs[off:int(off)+n]...)
		return uint32(len(pcs) - n), largest
	}
	word := func(b []byte, v uint64) []byte {
		if l.word == pointerSize {
			return le.AppendUint64(b, v)
		}
		return le.AppendUint32(b, uint32(v))
	}
	start := func(i int) uint64 {
		if l.word == pointerSize {
			return uint64(t.starts[i]-base) + textAddr
		}
		return uint64(t.starts[i] - base)
	}
	var index []byte
	indexSize := (2*len(t.funcs) + 1) * l.word
	type patch struct{ at, tree int }
	var patches []patch
	for i, f := range t.funcs {
		for (indexSize+len(records))%pointerSize != 0 {
			records = append(records, 0)
		}
		index = word(word(index, start(i)), uint64(indexSize+len(records)))
		records = word(records, start(i))
		file, _ := table(f.file)
		line, _ := table(f.line)
		inlined, largest := table(f.inlined)
		unit := len(units) / 4
		for _, of := range t.filesOf(i) {
			for len(units)/4-unit < int(of.number) {
				units = le.AppendUint32(units, noData)
			}
			units = le.AppendUint32(units, uint32(len(files)))
			files = append(append(files, text(t.names, of.name)...), 0)
		}
		for _, v := range []uint32{name(f.name), 0, 0, 0, file, line, pcInlined + 1, uint32(unit)} {
			records = le.AppendUint32(records, v)
		}
		if l.startLine != 0 {
			records = le.AppendUint32(records, uint32(f.startLine))
		}
		records = append(records, 0, 0, 0, dataInlineTree+1)
		for _, v := range []uint32{0, 0, inlined} {
			records = le.AppendUint32(records, v)
		}
		for l.word == pointerSize && (indexSize+len(records))%pointerSize != 0 {
			records = append(records, 0)
		}
		records = word(word(word(records, 0), 0), 0)
		patches = append(patches, patch{len(records), len(trees)})
		records = word(records, noData)
		if largest < 0 {
			patches = patches[:len(patches)-1]
		}
		for k := range largest + 1 {
			c := t.calls[int(f.tree)+int(k)]
			b := make([]byte, l.call)
			le.PutUint32(b[l.callName:], name(c.name))
			le.PutUint32(b[l.callParent:], uint32(c.parent))
			if l.callStartLine != 0 {
				le.PutUint32(b[l.callStartLine:], uint32(c.startLine))
			}
			trees = append(trees, b...)
		}
	}
	index = word(index, start(len(t.funcs)))
	out := make([]byte, l.offsets+5*pointerSize)
	le.PutUint32(out, magic)
	out[6], out[7] = byte(t.quantum), pointerSize
	le.PutUint64(out[8:], uint64(len(t.funcs)))
	functions := 0
	for i, part := range [][]byte{names, units, files, pcs, append(index, records...)} {
		for len(out)%pointerSize != 0 {
			out = append(out, 0)
		}
		functions = len(out)
		le.PutUint64(out[l.offsets+i*pointerSize:], uint64(len(out)))
		out = append(out, part...)
	}
	for len(out)%pointerSize != 0 {
		out = append(out, 0)
	}
	treesAt := len(out)
	for _, p := range patches {
		if b := out[functions+indexSize+p.at:]; l.word == pointerSize {
			le.PutUint64(b, tableAddr+uint64(treesAt+p.tree))
		} else {
			le.PutUint32(b, uint32(p.tree))
		}
	}
	return program{Table: append(out, trees...), Address: tableAddr, Text: textAddr, GoFunc: tableAddr + uint64(treesAt)}
}

// describe returns the module description of a program that encode wrote.
func describe(in program) []byte {
	le := binary.LittleEndian
	h, err := parseHeader(in.Table, uint64(len(in.Table)))
	if err != nil {
		panic(err)
	}
	b := make([]byte, moduleWords*pointerSize)
	put := func(word int, v uint64) { le.PutUint64(b[word*pointerSize:], v) }
	put(0, in.Address)
	for i, word := range moduleParts {
		put(word, in.Address+h.parts[i])
	}
	put(moduleFuncIndex, in.Address+h.parts[4])
	put(moduleFuncIndex+1, h.funcs+1)
	put(moduleText, in.Text)
	if h.goFunc != 0 {
		put(h.goFunc, in.GoFunc)
	}
	return b
}

// testSection is a section of a test file, loaded to an address.
type testSection struct {
	name string
	kind uint32
	addr uint64
	data []byte
}

const (
	elfHeader, programHeader, sectionHeader = 64, 56, 64

	ptLoad, pfExec   = uint32(elf.PT_LOAD), uint32(elf.PF_X)
	shtProgbits      = uint32(elf.SHT_PROGBITS)
	shtRela          = uint32(elf.SHT_RELA)
	shfAlloc         = uint64(elf.SHF_ALLOC)
	machineX86       = uint16(elf.EM_X86_64)
	relativeX86      = uint64(elf.R_X86_64_RELATIVE)
	sectionNamesType = uint32(elf.SHT_STRTAB)
)

// readELF reads the line table of a file.
func readELF(r io.ReaderAt, size int64) (*Table, error) {
	f, err := elffile.Open(r, size)
	if err != nil {
		return nil, err
	}
	sections, err := f.Sections()
	if err != nil {
		return nil, err
	}
	in, err := Locate(f, sections)
	if err != nil {
		return nil, err
	}
	return readAll(in)
}

// buildELF writes an x86 ELF file of sections, each in a segment of its own.
func buildELF(sections ...testSection) []byte {
	le := binary.LittleEndian
	sections = append([]testSection{{}}, sections...)
	strings := []byte{0}
	sections = append(sections, testSection{name: ".shstrtab", kind: sectionNamesType})
	nameOffs := make([]int, len(sections))
	for i, s := range sections {
		nameOffs[i] = len(strings)
		strings = append(append(strings, s.name...), 0)
	}
	sections[len(sections)-1].data = strings
	out := make([]byte, elfHeader+len(sections)*programHeader)
	var headers []byte
	for i, s := range sections {
		p := out[elfHeader+i*programHeader:]
		if s.addr != 0 {
			le.PutUint32(p, ptLoad)
			le.PutUint32(p[4:], 4)
			if s.name == ".text" {
				le.PutUint32(p[4:], 4|pfExec)
			}
			le.PutUint64(p[8:], uint64(len(out)))
			le.PutUint64(p[16:], s.addr)
			le.PutUint64(p[32:], uint64(len(s.data)))
		}
		h := make([]byte, sectionHeader)
		le.PutUint32(h, uint32(nameOffs[i]))
		le.PutUint32(h[4:], s.kind)
		if s.addr != 0 {
			le.PutUint64(h[8:], shfAlloc)
		}
		le.PutUint64(h[16:], s.addr)
		le.PutUint64(h[24:], uint64(len(out)))
		le.PutUint64(h[32:], uint64(len(s.data)))
		headers = append(headers, h...)
		out = append(out, s.data...)
	}
	copy(out, "\x7fELF\x02\x01\x01")
	le.PutUint16(out[18:], machineX86)
	le.PutUint64(out[32:], elfHeader)
	le.PutUint64(out[40:], uint64(len(out)))
	le.PutUint16(out[54:], programHeader)
	le.PutUint16(out[56:], uint16(len(sections)))
	le.PutUint16(out[58:], sectionHeader)
	le.PutUint16(out[60:], uint16(len(sections)))
	le.PutUint16(out[62:], uint16(len(sections)-1))
	return append(out, headers...)
}

// fixedELF is a program at a fixed address.
func fixedELF(in program) []byte {
	return buildELF(
		testSection{".text", shtProgbits, textAddr, make([]byte, 64)},
		testSection{".gopclntab", shtProgbits, in.Address, in.Table},
		testSection{".noptrdata", shtProgbits, dataAddr, append(make([]byte, 24), describe(in)...)},
	)
}

// movableELF is a program as C linkers write position independent ones: the line
// table is somewhere in a section, and the loader writes all addresses.
func movableELF(in program) []byte {
	le := binary.LittleEndian
	relocation := func(out []byte, at, value uint64) []byte {
		return le.AppendUint64(le.AppendUint64(le.AppendUint64(out, at), relativeX86), value)
	}
	description := describe(in)
	rela := relocation(nil, dataAddr+4096, in.Address) // not a module description
	for _, word := range append([]int{0, moduleFuncIndex, moduleText, layouts[le.Uint32(in.Table)].goFunc}, moduleParts[:]...) {
		if b := description[word*pointerSize:]; le.Uint64(b) != 0 && (word != 0 || le.Uint64(b) == in.Address) {
			rela = relocation(rela, dataAddr+uint64(word*pointerSize), le.Uint64(b))
			clear(b[:pointerSize])
		}
	}
	table := bytes.Clone(in.Table)
	if l := layouts[le.Uint32(table)]; l.word == pointerSize {
		for at := 0; at+pointerSize <= len(table); at += pointerSize {
			if v := le.Uint64(table[at:]); v >= textAddr && v < dataAddr { // addresses, by their looks
				rela = relocation(rela, in.Address+uint64(at), v)
				clear(table[at : at+pointerSize])
			}
		}
	}
	return buildELF(
		testSection{".text", shtProgbits, textAddr, make([]byte, 64)},
		testSection{".go.buildinfo", shtProgbits, 0x700000, make([]byte, 16)},
		testSection{".data.rel.ro", shtProgbits, in.Address - 4096, append(make([]byte, 4096), table...)},
		testSection{".noptrdata", shtProgbits, dataAddr, description},
		testSection{".rela.dyn", shtRela, 0x710000, rela},
	)
}
