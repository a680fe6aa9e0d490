// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package elffile

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"io"
	"math"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func encode(v any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// names are the strings of the section names; the last one lacks its end.
const names = "\x00.a\x00.long\x00.cut"

// build makes a file of one segment and of the sections that change makes of the
// null section and the names.
func build(content []byte, change func(*elf.Header64, *[]elf.Section64)) []byte {
	const at = headerSize + segmentSize
	h := elf.Header64{Machine: uint16(elf.EM_AARCH64), Phoff: headerSize, Phentsize: segmentSize, Phnum: 1,
		Shentsize: sectionSize, Shstrndx: 1, Shoff: uint64(at + len(names) + len(content))}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)
	sections := []elf.Section64{
		{},
		{Type: uint32(elf.SHT_STRTAB), Off: at, Size: uint64(len(names))},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: at + uint64(len(names)), Size: uint64(len(content)), Addr: 0x1000},
	}
	h.Shnum = uint16(len(sections))
	if change != nil {
		change(&h, &sections)
	}
	segment := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_X), Off: 1, Vaddr: 2, Filesz: 3, Memsz: 4}
	return bytes.Join([][]byte{encode(h), encode(segment), []byte(names), content, encode(sections)}, nil)
}

func open(t *testing.T, data []byte) (*File, []Section) {
	t.Helper()
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	sections, err := f.Sections()
	require.NoError(t, err)
	return f, sections
}

func TestOpen(t *testing.T) {
	f, sections := open(t, build([]byte("text"), nil))
	assert.Equal(t, elf.EM_AARCH64, f.Machine)
	assert.Equal(t, []Segment{{Type: elf.PT_LOAD, Flags: elf.PF_X, Offset: 1, Addr: 2, Filesz: 3, Memsz: 4}}, f.Segments)
	require.Len(t, sections, 3)
	content, err := f.Content("a", sections[2], 4)
	require.NoError(t, err)
	assert.Equal(t, "text", string(content))
	_, err = f.Content("a", sections[2], 3)
	assert.ErrorIs(t, err, ErrTooLarge)

	_, err = Open(bytes.NewReader(nil), -1)
	assert.ErrorIs(t, err, ErrDamaged)
	_, err = Open(bytes.NewReader(make([]byte, 64)), 64)
	assert.ErrorIs(t, err, ErrNotELF)
}

func TestNamed(t *testing.T) {
	f, sections := open(t, build(nil, func(h *elf.Header64, s *[]elf.Section64) {
		*s = append(*s,
			elf.Section64{Name: 4, Type: uint32(elf.SHT_NOTE)},
			elf.Section64{Name: 1, Type: uint32(elf.SHT_NOTE)}, // the second .a
			elf.Section64{Name: 10, Type: uint32(elf.SHT_NOTE)},
			elf.Section64{Name: math.MaxUint32, Type: uint32(elf.SHT_NOTE)})
		h.Shnum = uint16(len(*s))
	}))
	found, err := f.Named(sections, ".long", ".a", ".lon", ".cut", ".longer")
	require.NoError(t, err)
	assert.Equal(t, []Section{sections[3], sections[2], {}, {}, {}}, found)
	every, err := f.Every(sections, ".a")
	require.NoError(t, err)
	assert.Equal(t, []Section{sections[2], sections[4]}, every)
	every, err = f.Every(nil, ".a")
	require.NoError(t, err)
	assert.Empty(t, every)
	found, err = f.Named(nil, ".a")
	require.NoError(t, err)
	assert.Equal(t, []Section{{}}, found)
}

func TestIndexOfNamesInFirstSection(t *testing.T) {
	f, sections := open(t, build(nil, func(h *elf.Header64, s *[]elf.Section64) {
		h.Shstrndx = uint16(elf.SHN_XINDEX)
		(*s)[0].Link = 1
	}))
	found, err := f.Named(sections, ".a")
	require.NoError(t, err)
	assert.Equal(t, sections[2], found[0])
}

func TestDamagedNames(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*elf.Header64, *[]elf.Section64)
		want   error
	}{
		"index":  {func(h *elf.Header64, _ *[]elf.Section64) { h.Shstrndx = 3 }, ErrDamaged},
		"type":   {func(h *elf.Header64, _ *[]elf.Section64) { h.Shstrndx = 2 }, ErrDamaged},
		"size":   {func(_ *elf.Header64, s *[]elf.Section64) { (*s)[1].Size = 1 << 40 }, ErrTooLarge},
		"beyond": {func(_ *elf.Header64, s *[]elf.Section64) { (*s)[1].Off = 1 << 40 }, ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			f, sections := open(t, build(nil, c.change))
			_, err := f.Named(sections, ".a")
			assert.ErrorIs(t, err, c.want)
		})
	}
}

func compressed(kind elf.CompressionType, size uint64, text []byte) []byte {
	var b bytes.Buffer
	b.Write(encode(elf.Chdr64{Type: uint32(kind), Size: size}))
	var z io.WriteCloser = zlib.NewWriter(&b)
	if kind == elf.COMPRESS_ZSTD {
		z, _ = zstd.NewWriter(&b)
	}
	z.Write(text)
	z.Close()
	return b.Bytes()
}

func TestCompressed(t *testing.T) {
	text := bytes.Repeat([]byte("frame"), 1000)
	whole, zstandard := compressed(elf.COMPRESS_ZLIB, 5000, text), compressed(elf.COMPRESS_ZSTD, 5000, text)
	for name, c := range map[string]struct {
		content []byte
		want    error
	}{
		"whole":             {whole, nil},
		"no header":         {whole[:compressionSize-1], ErrDamaged},
		"no stream":         {whole[:compressionSize], ErrDamaged},
		"cut":               {whole[:compressionSize+10], ErrDamaged},
		"less than claimed": {compressed(elf.COMPRESS_ZLIB, 5001, text), ErrDamaged},
		"cannot be":         {compressed(elf.COMPRESS_ZLIB, 90000, nil), ErrDamaged},
		"beyond the limit":  {compressed(elf.COMPRESS_ZLIB, 100001, text), ErrTooLarge},
		"zstd":              {zstandard, nil},
		"zstd cut":          {zstandard[:compressionSize+10], ErrDamaged},
		"zstd says less":    {compressed(elf.COMPRESS_ZSTD, 4999, text), ErrDamaged},
		"zstd cannot be":    {compressed(elf.COMPRESS_ZSTD, 100000, nil)[:compressionSize+3], ErrDamaged},
		"zstd beyond":       {compressed(elf.COMPRESS_ZSTD, 100001, text), ErrTooLarge},
		"unknown":           {compressed(elf.CompressionType(3), 5000, text), ErrCompression},
	} {
		t.Run(name, func(t *testing.T) {
			f, sections := open(t, build(c.content, func(_ *elf.Header64, s *[]elf.Section64) {
				(*s)[2].Flags = uint64(elf.SHF_COMPRESSED)
			}))
			got, err := f.Content("a", sections[2], 100000)
			require.ErrorIs(t, err, c.want)
			if c.want == nil {
				assert.Equal(t, text, got)
			}
		})
	}
}

func TestSectionWithoutContent(t *testing.T) {
	f, _ := open(t, build(nil, nil))
	for _, kind := range []elf.SectionType{elf.SHT_NULL, elf.SHT_NOBITS} {
		content, err := f.Content("a", Section{Type: kind, Size: math.MaxUint64}, 0)
		assert.NoError(t, err)
		assert.Empty(t, content)
	}
}
