// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

func read(t testing.TB, b elfBuilder) *File {
	t.Helper()
	data := b.build()
	f, err := Read(bytes.NewReader(data), int64(len(data)), everything)
	require.NoError(t, err)
	return f
}

func TestBuildIDs(t *testing.T) {
	gnu := note("GNU\x00", 3, []byte{0xde, 0xad, 0xbe, 0xef, 1})
	golang := note("Go\x00\x00", 4, []byte("a/b/c/d"))
	property := note("GNU\x00", 5, make([]byte, 16))
	for name, b := range map[string]elfBuilder{
		"segment": {notes: append(append(property, gnu...), golang...)},
		"section": {notes: append(append(golang, property...), gnu...), noSegmentNote: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := read(t, b)
			assert.Equal(t, "deadbeef01", f.GNUBuildID())
			assert.Equal(t, "a/b/c/d", f.GoBuildID())
		})
	}
	none := read(t, elfBuilder{notes: property})
	assert.Empty(t, none.GNUBuildID())
	assert.Empty(t, none.GoBuildID())
}

func TestNotesThatCannotBe(t *testing.T) {
	long := note("GNU\x00", 3, make([]byte, maxBuildID+1))
	for name, notes := range map[string][]byte{
		"empty":          nil,
		"short":          {4, 0, 0, 0},
		"name too long":  encode([]uint32{math.MaxUint32, 4, 3, 0}),
		"desc too long":  encode([]uint32{4, math.MaxUint32, 3, 0x554e47}),
		"desc cut":       note("GNU\x00", 3, make([]byte, 20))[:30],
		"ID too long":    long,
		"ID empty":       note("GNU\x00", 3, nil),
		"other owner":    note("XEN\x00", 3, make([]byte, 20)),
		"Go, not a text": note("Go\x00\x00", 4, []byte{1, 2}),
	} {
		t.Run(name, func(t *testing.T) {
			assert.Empty(t, BuildIDFromNotes(notes))
			assert.Empty(t, goBuildIDFromNotes(notes))
		})
	}
}

func TestHTLHash(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 4096, 4097, 8192, 20000} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i * 7)
		}
		head, tail := data[:min(size, 4096)], data[max(0, size-4096):]
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(bytes.Join([][]byte{head, tail}, nil), uint64(size)))
		f, err := Read(bytes.NewReader(data), int64(size), everything)
		require.ErrorIs(t, err, ErrNotELF)
		assert.Equal(t, hex.EncodeToString(sum[:16]), f.HTLHash(), size)
	}
}

func TestAddress(t *testing.T) {
	f := read(t, elfBuilder{segments: func(s []elf.Prog64) {
		s[1].Off, s[1].Vaddr = 0x1010, 0x405010
		s[1].Filesz = 0x20
	}})
	want := Segment{Address: 0x405010, Size: 0x20, Offset: 0x1010}
	for off, addr := range map[uint64]uint64{0x1010: 0x405010, 0x102f: 0x40502f} {
		got, seg, ok := f.Address(off)
		assert.True(t, ok)
		assert.Equal(t, addr, got)
		assert.Equal(t, want, seg)
	}
	for _, off := range []uint64{0, 0xfff, 0x100f, 0x1030, math.MaxUint64} {
		_, _, ok := f.Address(off)
		assert.False(t, ok, "%#x", off)
	}
}

// Files that are wrong give an error that names the cause, and what was right.
func TestDamaged(t *testing.T) {
	gnu := note("GNU\x00", 3, []byte{0xaa})
	good := []testSymbol{fn("f", 0, 8, elf.STB_GLOBAL)}
	section := func(i int, change func(*elf.Section64)) func([]elf.Section64) {
		return func(s []elf.Section64) { change(&s[i]) }
	}
	for name, c := range map[string]struct {
		b        elfBuilder
		want     error
		identity bool // the build ID is known all the same
	}{
		"32 bit":     {elfBuilder{header: func(h *elf.Header64) { h.Ident[elf.EI_CLASS] = 1 }}, ErrUnsupported, false},
		"big endian": {elfBuilder{header: func(h *elf.Header64) { h.Ident[elf.EI_DATA] = 2 }}, ErrUnsupported, false},
		"phentsize":  {elfBuilder{header: func(h *elf.Header64) { h.Phentsize = 32 }}, ErrDamaged, false},
		"shentsize":  {elfBuilder{header: func(h *elf.Header64) { h.Shentsize = 1 }}, ErrDamaged, false},
		"phnum":      {elfBuilder{header: func(h *elf.Header64) { h.Phnum = 0xffff }}, ErrTooLarge, false},
		"phoff":      {elfBuilder{header: func(h *elf.Header64) { h.Phoff = math.MaxUint64 - 8 }}, ErrDamaged, false},
		"shoff":      {elfBuilder{header: func(h *elf.Header64) { h.Shoff = 1 << 40 }}, ErrDamaged, true},
		"shnum": {elfBuilder{
			header:   func(h *elf.Header64) { h.Shnum = 0 },
			sections: section(secNull, func(s *elf.Section64) { s.Size = 1 << 32 }),
		}, ErrTooLarge, true},
		"notes":           {elfBuilder{segments: func(s []elf.Prog64) { s[0].Type = uint32(elf.PT_NOTE); s[0].Off = 1 << 50 }}, ErrDamaged, true},
		"symbols beyond":  {elfBuilder{sections: section(secSymtab, func(s *elf.Section64) { s.Size = 1 << 20 })}, ErrDamaged, true},
		"symbols many":    {elfBuilder{sections: section(secSymtab, func(s *elf.Section64) { s.Size = math.MaxUint64 })}, ErrTooLarge, true},
		"symbol size":     {elfBuilder{sections: section(secSymtab, func(s *elf.Section64) { s.Entsize = 0 })}, ErrDamaged, true},
		"compressed":      {elfBuilder{sections: section(secDynsym, func(s *elf.Section64) { s.Flags = uint64(elf.SHF_COMPRESSED) })}, ErrDamaged, true},
		"no string table": {elfBuilder{sections: section(secDynsym, func(s *elf.Section64) { s.Link = 1 << 30 })}, ErrDamaged, true},
		"text as strings": {elfBuilder{sections: section(secDynsym, func(s *elf.Section64) { s.Link = secText })}, ErrDamaged, true},
		"strings many":    {elfBuilder{sections: section(secStrtab, func(s *elf.Section64) { s.Size = 1 << 40 })}, ErrTooLarge, true},
		"strings beyond":  {elfBuilder{sections: section(secStrtab, func(s *elf.Section64) { s.Off = math.MaxUint64 })}, ErrDamaged, true},
	} {
		t.Run(name, func(t *testing.T) {
			c.b.notes, c.b.symtab = gnu, good
			data := c.b.build()
			f, err := Read(bytes.NewReader(data), int64(len(data)), everything)
			require.ErrorIs(t, err, c.want)
			assert.NotEmpty(t, f.HTLHash())
			assert.Equal(t, c.identity, f.GNUBuildID() == "aa")
			_, ok := f.Name(codeAddress)
			assert.Equal(t, slices.Contains([]string{"notes", "compressed", "no string table", "text as strings"}, name), ok,
				"only what is damaged is without names")
		})
	}
}

func TestTooManyExecutableSegments(t *testing.T) {
	segments := make([]elffile.Segment, maxCode+1)
	for i := range segments {
		segments[i] = elffile.Segment{Type: elf.PT_LOAD, Flags: elf.PF_X, Filesz: 1}
	}
	_, err := executable(segments)
	assert.ErrorIs(t, err, ErrTooLarge)
	segments[0].Addr, segments[1].Offset = math.MaxUint64, math.MaxUint64
	got, err := executable(segments)
	assert.NoError(t, err)
	assert.Len(t, got, maxCode-1, "those that cannot be loaded are left out")
}

// A section count beyond e_shnum is in the first section header.
func TestSectionCountInFirstSection(t *testing.T) {
	f := read(t, elfBuilder{
		symtab:   []testSymbol{fn("f", 0, 8, elf.STB_GLOBAL)},
		header:   func(h *elf.Header64) { h.Shnum = 0 },
		sections: func(s []elf.Section64) { s[secNull].Size = secCount },
	})
	assert.Equal(t, 1, f.Functions())
}

func TestFileWithoutSections(t *testing.T) {
	f := read(t, elfBuilder{
		symtab: []testSymbol{fn("f", 0, 8, elf.STB_GLOBAL)},
		header: func(h *elf.Header64) { h.Shoff, h.Shnum, h.Shentsize = 0, 0, 0 },
	})
	assert.Zero(t, f.Functions())
	_, _, ok := f.Address(codeOffset)
	assert.True(t, ok)
}

func TestNegativeSize(t *testing.T) {
	f, err := Read(bytes.NewReader(nil), -1, everything)
	assert.ErrorIs(t, err, ErrDamaged)
	assert.NotNil(t, f)
}

// A file that shrinks or cannot be read is an error, not a wrong answer.
func TestReadErrors(t *testing.T) {
	data := elfBuilder{symtab: []testSymbol{fn("f", 0, 8, elf.STB_GLOBAL)}}.build()
	_, err := Read(bytes.NewReader(data[:len(data)-10]), int64(len(data)), everything)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	broken := errors.New("disk on fire")
	for at := range 40 {
		f, err := Read(&failing{bytes.NewReader(data), at, broken}, int64(len(data)), everything)
		require.NotNil(t, f)
		if err == nil {
			require.Greater(t, at, 5, "every read is looked at")
			return
		}
		require.ErrorIs(t, err, broken)
	}
	t.Fatal("more reads than expected")
}

// failing fails after some reads.
type failing struct {
	io.ReaderAt
	left int
	err  error
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if f.left--; f.left < 0 {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, off)
}

// A sparse file may claim anything up to the limits, and it is all zeros.
func TestSparseFile(t *testing.T) {
	b := elfBuilder{sections: func(s []elf.Section64) {
		s[secSymtab].Size = maxScan * symbolSize
		s[secStrtab].Size = maxStrings
		s[secDynsym].Size = maxScan * symbolSize
		s[secDynstr].Size = maxStrings
	}}
	f, err := Read(sparse{b.build(), 1 << 40}, 1<<40, everything)
	require.NoError(t, err)
	assert.Zero(t, f.Functions())
	assert.Less(t, f.Bytes(), 1<<10)
}

// Names that overlap could multiply what is in the file.
func TestOverlappingNames(t *testing.T) {
	symbols := make([]testSymbol, 3000)
	for i := range symbols {
		symbols[i] = fn(strings.Repeat("x", 20), uint64(i), 1, elf.STB_LOCAL)
	}
	b := elfBuilder{symtab: symbols, sections: nil}
	data := b.build()
	// Make it one long string: every symbol's name runs to the end of the table.
	start := bytes.Index(data, []byte("xxxx"))
	for i := start; i < start+21*len(symbols)-1; i++ {
		data[i] = 'x'
	}
	_, err := Read(bytes.NewReader(data), int64(len(data)), everything)
	assert.ErrorIs(t, err, ErrDamaged)
}

// The figures of the documentation: 16 bytes per range, and what its name does not share.
func TestBytes(t *testing.T) {
	const n, length = 500, 10
	symbols := make([]testSymbol, n)
	for i := range symbols {
		symbols[i] = fn(strings.Repeat("y", length-3)+string([]byte{byte('a' + i/100), byte('a' + i/10%10), byte('a' + i%10)}),
			uint64(4*i), 4, elf.STB_GLOBAL)
	}
	empty, full := read(t, elfBuilder{}), read(t, elfBuilder{symtab: symbols})
	const differ, lengths, whole = 1.1, 2, 4 + length - 1.1
	assert.InDelta(t, n*(16+differ+lengths+whole/wholeEvery), full.Bytes()-empty.Bytes(), 50)

	data := elfBuilder{symtab: symbols}.build()
	files := make([]*File, 200)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range files {
		files[i], _ = Read(bytes.NewReader(data), int64(len(data)), everything)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := float64(after.HeapAlloc-before.HeapAlloc) / float64(len(files))
	assert.InEpsilon(t, full.Bytes(), held, 0.15, "Bytes is what the heap says")
	runtime.KeepAlive(files)
}
