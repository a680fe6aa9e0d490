// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"math"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// twoRows are of a function of 64 bytes at the start of the code.
var (
	twoCode = seq(advance(1), op(cfaDefCFAOffset, 16))
	twoRows = []testRow{{0, usual}, {1, frame(CFASP, 16)}, {0x40, NoInfo}}
)

// pc is where the addresses of the next FDE will be, behind its ID.
func (f *frameBuilder) pc() uint64 { return frameAddress + uint64(f.idAt()) + 4 }

func TestEncodings(t *testing.T) {
	for name, c := range map[string]struct {
		encoding  byte
		addresses func(pc uint64) []byte
		want      error
	}{
		"absptr":         {0x00, func(uint64) []byte { return absolute(0, 0x40) }, nil},
		"uleb128":        {0x01, func(uint64) []byte { return append(uleb(codeAddress), 0x40) }, nil},
		"udata4":         {0x03, func(uint64) []byte { return encode([]uint32{codeAddress, 0x40}) }, nil},
		"udata8":         {0x04, func(uint64) []byte { return absolute(0, 0x40) }, nil},
		"sdata4":         {0x0b, func(uint64) []byte { return encode([]uint32{codeAddress, 0x40}) }, nil},
		"sleb128, pcrel": {0x19, func(pc uint64) []byte { return append(sleb(int64(codeAddress-pc)), sleb(0x40)...) }, nil},
		"sdata4, pcrel":  {0x1b, func(pc uint64) []byte { return encode([]uint32{uint32(codeAddress - pc), 0x40}) }, nil},
		"sdata8, pcrel":  {0x1c, func(pc uint64) []byte { return encode([]uint64{codeAddress - pc, 0x40}) }, nil},
		"absptr, pcrel":  {0x10, func(pc uint64) []byte { return encode([]uint64{codeAddress - pc, 0x40}) }, nil},
		"indirect":       {0x9b, func(uint64) []byte { return encode([]uint32{1, 0x40}) }, ErrDamaged},
		"textrel":        {0x2b, func(uint64) []byte { return encode([]uint32{1, 0x40}) }, ErrDamaged},
		"datarel":        {0x3b, func(uint64) []byte { return encode([]uint32{1, 0x40}) }, ErrDamaged},
		"funcrel":        {0x4b, func(uint64) []byte { return encode([]uint32{1, 0x40}) }, ErrDamaged},
		"aligned":        {0x50, func(uint64) []byte { return absolute(0, 0x40) }, ErrDamaged},
		"unknown":        {0x05, func(uint64) []byte { return absolute(0, 0x40) }, ErrDamaged},
		"omitted":        {0xff, func(uint64) []byte { return absolute(0, 0x40) }, ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			f := frameBuilder{eh: true}
			e := f.cie(testCIE{encoding: c.encoding})
			f.fde(e, c.addresses(f.pc()), twoCode)
			data := elfBuilder{eh: f.data}.build()
			table, err := Compile(bytes.NewReader(data), int64(len(data)))
			require.ErrorIs(t, err, c.want)
			if c.want == nil {
				assert.Equal(t, twoRows, rowsOf(table))
			}
		})
	}
}

// A file near the start of the address space has short addresses.
func TestShortEncoding(t *testing.T) {
	for _, encoding := range []byte{formatU16, formatS16} {
		f := frameBuilder{eh: true}
		f.fde(f.cie(testCIE{encoding: encoding}), encode([]uint16{0x100, 0x40}), twoCode)
		table := compile(t, elfBuilder{eh: f.data, segments: func(s []elf.Prog64) { s[0].Vaddr = 0x100 }}.build())
		assert.Equal(t, uint64(0x100), table.Base)
		assert.Len(t, table.Rows, 3)
	}
}

func TestAugmentations(t *testing.T) {
	for name, c := range map[string]struct {
		cie  testCIE
		want error
	}{
		"z":             {testCIE{augmentation: "z"}, nil},
		"zR":            {testCIE{augmentation: "zR"}, nil},
		"zPLR":          {testCIE{augmentation: "zPLR", extra: []byte{0x9b, 1, 2, 3, 4, 0x1b}}, nil},
		"zPLR absptr":   {testCIE{augmentation: "zPLR", extra: []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 0}}, nil},
		"zRB":           {testCIE{augmentation: "zRB"}, nil},
		"zRG":           {testCIE{augmentation: "zRG"}, nil},
		"zR?":           {testCIE{augmentation: "zR?", behind: []byte{1, 2, 3}}, nil},
		"zPR aligned":   {testCIE{augmentation: "zPR", extra: []byte{0x50, 0, 0, 0, 0, 0, 0, 0, 0}}, ErrDamaged},
		"zPR cut":       {testCIE{augmentation: "zPR", extra: []byte{0x9b}}, ErrDamaged},
		"R":             {testCIE{augmentation: "R"}, ErrDamaged},
		"eh":            {testCIE{augmentation: "ehz"}, ErrDamaged}, // without EH data
		"version 2":     {testCIE{version: 2}, ErrDamaged},
		"version 3":     {testCIE{version: 3}, nil},
		"version 4":     {testCIE{version: 4}, nil},
		"version 5":     {testCIE{version: 5}, ErrDamaged},
		"damaged rules": {testCIE{code: op(0x3f)}, ErrDamaged},
		"it advances":   {testCIE{code: seq(usualCode, advance(3), op(cfaSetLoc, absolute(8, 0)[:8]))}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := frameBuilder{eh: true}
			good := f.cie(testCIE{})
			f.fde(f.cie(c.cie), absolute(0, 0x40), twoCode)
			f.fde(good, absolute(0x80, 0x10))
			table := compile(t, elfBuilder{eh: f.data}.build())
			require.ErrorIs(t, table.Cause, c.want)
			if c.want == nil {
				assert.Equal(t, append(twoRows[:3:3], testRow{0x80, usual}, testRow{0x90, NoInfo}), rowsOf(table))
			} else {
				assert.Equal(t, []testRow{{0x80, usual}, {0x90, NoInfo}}, rowsOf(table))
			}
		})
	}
}

func TestSignalFrame(t *testing.T) {
	table := oneFunction(t, elf.EM_X86_64, testCIE{augmentation: "zRS", code: []byte{}},
		seq(op(cfaDefCFAExpression, block(0x77, 0xa0, 1, opDeref)), op(cfaExpression, 6, block(0x77, 0xf8, 0)), op(cfaExpression, 16, block(0x77, 0xa8, 1))))
	rule, ok := table.Find(codeAddress)
	assert.True(t, ok)
	assert.Equal(t, Rule{CFA: CFADerefSP, CFAOffset: 160, FP: AtSP, FPOffset: 120, RA: AtSP, RAOffset: 168, Signal: true}, rule)
}

func TestOldEHData(t *testing.T) {
	f := frameBuilder{eh: true}
	body := seq([]byte("\x01eh\x00"), make([]byte, 8), uleb(1), sleb(-8), []byte{16}, usualCode)
	e := f.record(0, body)
	f.record(uint64(f.idAt()-e), append(absolute(0, 0x40), twoCode...))
	assert.Equal(t, twoRows, rowsOf(compile(t, elfBuilder{eh: f.data}.build())))
}

func TestForms(t *testing.T) {
	for name, f := range map[string]frameBuilder{
		"eh_frame": {eh: true}, "eh_frame, 64 bit": {eh: true, wide: true},
		"debug_frame": {}, "debug_frame, 64 bit": {wide: true},
	} {
		for _, version := range []byte{1, 3, 4} {
			f := f
			f.data = nil
			e := f.cie(testCIE{version: version})
			f.fde(e, absolute(0, 0x40), twoCode)
			b := elfBuilder{debug: f.data}
			if f.eh {
				b = elfBuilder{eh: f.data}
			}
			assert.Equal(t, twoRows, rowsOf(compile(t, b.build())), "%s, version %d", name, version)
		}
	}
}

func TestAddressSize(t *testing.T) {
	f := frameBuilder{}
	e := f.cie(testCIE{version: 4})
	f.fde(e, absolute(0, 0x40))
	for _, at := range []int{10, 11} { // behind length, ID, version and augmentation
		data := bytes.Clone(f.data)
		data[at] = 4
		data = elfBuilder{debug: data}.build()
		_, err := Compile(bytes.NewReader(data), int64(len(data)))
		assert.ErrorIs(t, err, ErrDamaged)
		assert.ErrorIs(t, err, ErrNoFrames)
	}
}

// In .debug_frame a CIE may be behind its FDEs.
func TestCIEBehind(t *testing.T) {
	f := frameBuilder{}
	f.fde(0, absolute(0, 0x40), twoCode)
	at := f.cie(testCIE{})
	copy(f.data[4:], encode(uint32(at)))
	assert.Equal(t, twoRows, rowsOf(compile(t, elfBuilder{debug: f.data}.build())))
}

// .debug_frame says what .eh_frame does not.
func TestBothSections(t *testing.T) {
	eh, debug := frameBuilder{eh: true}, frameBuilder{}
	e := eh.cie(testCIE{})
	eh.fde(e, absolute(0x10, 0x10))
	eh.fde(e, absolute(0x30, 0x10))
	d := debug.cie(testCIE{})
	debug.fde(d, absolute(0, 0x38), op(cfaDefCFAOffset, 16), advance(0x28), op(cfaDefCFAOffset, 24))
	debug.fde(d, absolute(0x50, 8), op(cfaDefCFAOffset, 32))
	table := compile(t, elfBuilder{eh: eh.data, debug: debug.data}.build())
	assert.Equal(t, []testRow{
		{0, frame(CFASP, 16)}, {0x10, usual}, {0x20, frame(CFASP, 16)}, {0x28, frame(CFASP, 24)},
		{0x30, usual}, {0x40, NoInfo}, {0x50, frame(CFASP, 32)}, {0x58, NoInfo},
	}, rowsOf(table))
	assert.Equal(t, uint64(codeAddress), table.Base)
}

// Of FDEs that overlap, the first by address wins, then the first in the file.
func TestOverlap(t *testing.T) {
	f := frameBuilder{eh: true}
	e := f.cie(testCIE{})
	sized := func(offset, size uint64, cfa int) {
		f.fde(e, absolute(offset, size), op(cfaDefCFAOffset, cfa), advance(8), op(cfaDefCFAOffset, cfa+8))
	}
	sized(0x20, 0x10, 96) // behind
	sized(4, 0x20, 64)    // from 0x10 on
	sized(0, 0x10, 16)
	sized(0, 0x12, 32) // the second at its address
	sized(6, 4, 48)    // inside
	want := []testRow{
		{0, frame(CFASP, 16)}, {8, frame(CFASP, 24)}, {0x10, frame(CFASP, 40)}, {0x12, frame(CFASP, 72)},
		{0x24, frame(CFASP, 96)}, {0x28, frame(CFASP, 104)}, {0x30, NoInfo},
	}
	table := compile(t, elfBuilder{eh: f.data}.build())
	assert.Equal(t, want, rowsOf(table))
	assert.Equal(t, 4, table.Functions)
}

func TestFDEsOfNoCode(t *testing.T) {
	f := frameBuilder{eh: true}
	e := f.cie(testCIE{})
	f.fde(e, encode([]uint64{0, 0x40}))                         // dropped by the linker
	f.fde(e, encode([]uint64{codeAddress - 1, 0x40}))           // before the code
	f.fde(e, encode([]uint64{codeAddress + codeSize, 0x40}))    // behind it
	f.fde(e, absolute(8, 0))                                    // empty
	f.fde(e, absolute(codeSize-8, 0x40), twoCode)               // to its end
	f.fde(e, encode([]uint64{codeAddress + 4, math.MaxUint64})) // cannot be
	f.fde(e+1, absolute(0, 0x40))                               // of no CIE
	f.data = append(f.data, 0, 0, 0, 0)                         // a terminator
	f.fde(e, absolute(0, 0x40), twoCode)                        // behind it
	f.data = append(f.data, 0x55, 0, 0, 0, 1, 2, 3)             // cut
	table := compile(t, elfBuilder{eh: f.data}.build())
	assert.Equal(t, append(twoRows[:3:3],
		testRow{codeSize - 8, usual}, testRow{codeSize - 7, frame(CFASP, 16)}, testRow{codeSize, NoInfo}), rowsOf(table))
	assert.Equal(t, 3, table.Damaged)
	assert.Equal(t, 2, table.Functions)
}

func TestMoreThanFourGiB(t *testing.T) {
	f := frameBuilder{eh: true}
	e := f.cie(testCIE{})
	f.fde(e, absolute(0, 0x10))
	f.fde(e, absolute(1<<32-0x10, 0xf))
	f.fde(e, absolute(1<<32, 0x10))
	table := compile(t, elfBuilder{eh: f.data, segments: func(s []elf.Prog64) { s[0].Memsz = 1 << 40 }}.build())
	assert.ErrorIs(t, table.Cause, ErrTooLarge)
	assert.Equal(t, 1, table.Damaged)
	assert.Equal(t, Row{Offset: math.MaxUint32}, table.Rows[3])
	for addr, want := range map[uint64]bool{
		0: false, codeAddress - 1: false, codeAddress: true, codeAddress + 0x10: false,
		codeAddress + 1<<32 - 2: true, codeAddress + 1<<32 - 1: false, codeAddress + 1<<32: false, math.MaxUint64: false,
	} {
		_, ok := table.Find(addr)
		assert.Equal(t, want, ok, "%#x", addr)
	}
}

func TestTooManyRules(t *testing.T) {
	f := frameBuilder{eh: true}
	e := f.cie(testCIE{})
	f.fde(e, absolute(0, 0x10))
	var code []byte
	for i := range maxRules {
		code = append(append(code, op(cfaDefCFAOffset, 16+i)...), advance(1)...)
	}
	f.fde(e, absolute(0x10, 1<<20), code)
	table := compile(t, elfBuilder{eh: f.data, segments: func(s []elf.Prog64) { s[0].Memsz = 1 << 30 }}.build())
	assert.ErrorIs(t, table.Cause, ErrTooLarge)
	assert.Equal(t, []testRow{{0, usual}, {0x10, NoInfo}}, rowsOf(table))
}

// head makes .eh_frame_hdr. What is relative to data counts from its start.
func head(list byte, fdes ...int) []byte {
	b := []byte{1, formatU64, formatU32, list}
	b = append(append(b, encode(uint64(frameAddress))...), encode(uint32(len(fdes)))...)
	for _, at := range fdes {
		b = append(b, encode([]int32{codeAddress - headAddress, frameAddress + int32(at) - headAddress})...)
	}
	return b
}

func TestProgramHeader(t *testing.T) {
	f := frameBuilder{eh: true}
	e := f.cie(testCIE{})
	first := f.fde(e, absolute(0, 0x40), twoCode)
	f.data = append(f.data, 0, 0, 0, 0)
	second := f.fde(e, absolute(0x40, 0x10))
	f.data = append(f.data, 0xf0, 0xff, 0xff, 0xff) // what follows .eh_frame
	one := twoRows
	both := append(twoRows[:2:2], testRow{0x40, usual}, testRow{0x50, NoInfo})
	cut := head(listed, first, second)
	for name, c := range map[string]struct {
		head []byte
		want []testRow
		err  error
	}{
		"list":            {head(listed, second, first), both, nil},
		"no list":         {head(omitPointer), one, nil},
		"other list":      {head(formatU64), one, nil},
		"version":         {append([]byte{2}, cut[1:]...), nil, ErrDamaged},
		"empty":           {[]byte{}, nil, ErrDamaged},
		"cut":             {cut[:len(cut)-1], nil, ErrDamaged},
		"long list":       {append(bytes.Clone(cut[:12]), 0xff, 0xff, 0xff, 0xff), nil, ErrDamaged},
		"list beyond":     {head(listed, 1<<20), nil, ErrDamaged},
		"indirect":        {append([]byte{1, 0x84}, cut[2:]...), nil, ErrDamaged},
		"in no segment":   {[]byte{1, formatU16, omitPointer, 0, 0x10, 0}, nil, ErrDamaged},
		"encoding":        {append([]byte{1, 0x0f}, cut[2:]...), nil, ErrDamaged},
		"count is no int": {append([]byte{1, formatU64, 0x0f}, cut[3:]...), nil, ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			for _, hide := range []func(*elfBuilder){
				func(b *elfBuilder) { b.noSections = true },
				func(b *elfBuilder) { b.sections = func(s []elf.Section64) { s[secEH].Name = 0 } },
				func(b *elfBuilder) { b.header = func(h *elf.Header64) { h.Shoff = 1 << 40 } },
			} {
				b := elfBuilder{eh: f.data, head: c.head}
				hide(&b)
				data := b.build()
				table, err := Compile(bytes.NewReader(data), int64(len(data)))
				require.ErrorIs(t, err, c.err)
				if c.err == nil {
					assert.Equal(t, c.want, rowsOf(table))
				}
			}
		})
	}
}

func TestFilesThatCannotBe(t *testing.T) {
	f := frameBuilder{eh: true}
	f.fde(f.cie(testCIE{}), absolute(0, 0x40))
	for name, c := range map[string]struct {
		b    elfBuilder
		want error
	}{
		"other machine":   {elfBuilder{machine: elf.EM_RISCV}, ErrArch},
		"32 bit":          {elfBuilder{header: func(h *elf.Header64) { h.Ident[elf.EI_CLASS] = 1 }}, elffile.ErrUnsupported},
		"no frames":       {elfBuilder{sections: func(s []elf.Section64) { s[secEH].Size = 0 }}, ErrNoFrames},
		"no code":         {elfBuilder{segments: func(s []elf.Prog64) { s[0].Flags = 0 }}, ErrNoFrames},
		"code that wraps": {elfBuilder{segments: func(s []elf.Prog64) { s[0].Memsz = math.MaxUint64 }}, ErrNoFrames},
		"debugging info":  {elfBuilder{sections: func(s []elf.Section64) { s[secEH].Type = uint32(elf.SHT_NOBITS) }}, ErrNoFrames},
		"too large":       {elfBuilder{sections: func(s []elf.Section64) { s[secEH].Size = maxSection + 1 }}, ErrTooLarge},
		"beyond":          {elfBuilder{sections: func(s []elf.Section64) { s[secEH].Size = maxSection }}, ErrDamaged},
		"names":           {elfBuilder{sections: func(s []elf.Section64) { s[secNames].Type = 0 }}, ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			c.b.eh = f.data
			data := c.b.build()
			table, err := Compile(bytes.NewReader(data), int64(len(data)))
			assert.Nil(t, table)
			assert.ErrorIs(t, err, c.want)
		})
	}
}

// Damage to .debug_frame as a whole does not cost .eh_frame.
func TestDamagedDebugFrame(t *testing.T) {
	f := frameBuilder{eh: true}
	f.fde(f.cie(testCIE{}), absolute(0, 0x40), twoCode)
	b := elfBuilder{eh: f.data, debug: []byte{1}, sections: func(s []elf.Section64) { s[secDebug].Flags = uint64(elf.SHF_COMPRESSED) }}
	table := compile(t, b.build())
	assert.Equal(t, twoRows, rowsOf(table))
	assert.ErrorIs(t, table.Cause, ErrDamaged)
	assert.Equal(t, 1, table.Damaged)
}

func TestTooManyExecutableSegments(t *testing.T) {
	segments := make([]elffile.Segment, maxCode+1)
	for i := range segments {
		segments[i] = elffile.Segment{Type: elf.PT_LOAD, Flags: elf.PF_X, Memsz: 1}
	}
	_, err := executable(segments)
	assert.ErrorIs(t, err, ErrTooLarge)
}

// A file that cannot be read is an error, not a table.
func TestReadErrors(t *testing.T) {
	f := frameBuilder{eh: true}
	f.fde(f.cie(testCIE{}), absolute(0, 0x40))
	data := elfBuilder{eh: f.data}.build()
	_, err := Compile(bytes.NewReader(nil), -1)
	assert.ErrorIs(t, err, ErrDamaged)
	_, err = Compile(bytes.NewReader(data[:len(data)-10]), int64(len(data)))
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	broken := errors.New("disk on fire")
	_, err = Compile(failing{iotest.ErrReader(broken)}, int64(len(data)))
	assert.ErrorIs(t, err, broken)
}

// failing is a ReaderAt that reads nothing.
type failing struct{ io.Reader }

func (f failing) ReadAt(p []byte, _ int64) (int, error) { return f.Read(p) }

// A file may consist of lengths of zero, or of the smallest CIEs there can be.
func TestManyRecords(t *testing.T) {
	zeros := make([]byte, 1<<20)
	data := elfBuilder{eh: zeros}.build()
	_, err := Compile(bytes.NewReader(data), int64(len(data)))
	assert.ErrorIs(t, err, ErrNoFrames)

	f := frameBuilder{eh: true}
	last := 0
	for range maxCIEs + 1 {
		last = f.record(0, []byte{1, 0, 1, 0x78, 16})
	}
	f.fde(0, absolute(0, 0x40)[:16])
	f.record(uint64(f.idAt()-last), absolute(0x40, 0x40))
	data = elfBuilder{eh: f.data}.build()
	table := compile(t, data)
	assert.Equal(t, 1, table.Damaged)
	assert.ErrorIs(t, table.Cause, ErrDamaged)
	assert.Equal(t, []testRow{{0, Rule{CFA: CFAUnsupported}}, {0x40, NoInfo}}, rowsOf(table))
}

func TestMaxRows(t *testing.T) {
	d := newDictionary()
	r := rows{dictionary: &d, all: make([]Row, maxRows)}
	assert.ErrorIs(t, r.add(1, usual), ErrTooLarge)
}

// The figures of the documentation: 8 bytes per row, 20 per rule.
func TestBytes(t *testing.T) {
	table := oneFunction(t, elf.EM_X86_64, testCIE{}, twoCode)
	assert.Equal(t, 8, rowSize)
	assert.Equal(t, 20, ruleSize)
	assert.Equal(t, 8*cap(table.Rows)+20*cap(table.Rules), table.Bytes()-(&Table{}).Bytes())
}
