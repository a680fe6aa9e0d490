// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// Abbreviations of the units below: a unit with one range, a function that refers to
// another, and an inlined call, both with one range and entries inside.
var tinyAbbrevs = []byte{
	1, tagCompileUnit, 1, atLowPC, formAddr, atHighPC, formData4, 0, 0,
	2, tagSubprogram, 1, atLowPC, formAddr, atHighPC, formData4, atSpecification, formRef4, 0, 0,
	3, tagInlinedSubroutine, 1, atLowPC, formAddr, atHighPC, formData4, atAbstractOrigin, formRef4, 0, 0,
	4, tagSubprogram, 0, atName, formString, 0, 0,
	5, tagSubprogram, 0, atLowPC, formAddr, atHighPC, formData4, atName, formStrp, 0, 0,
	0,
}

// tiny is a unit of DWARF 4 with the given entries.
func tiny(entries ...[]byte) parts {
	body := entry1(1, 0x2000, 0x1000)
	body = append(body, bytes.Join(entries, nil)...)
	le := binary.LittleEndian
	head := le.AppendUint32(nil, uint32(len(body)+7))
	head = append(le.AppendUint32(le.AppendUint16(head, 4), 0), addressSize)
	return parts{append(head, body...), tinyAbbrevs}
}

func entry1(code byte, low uint64, size uint32, refs ...uint32) []byte {
	b := binary.LittleEndian.AppendUint64([]byte{code}, low)
	b = binary.LittleEndian.AppendUint32(b, size)
	for _, r := range refs {
		b = binary.LittleEndian.AppendUint32(b, r)
	}
	return b
}

// first is the offset of the first entry behind that of the unit.
const first = 11 + 13

// allocated is how many bytes are reserved while f runs.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func read(t *testing.T, p parts) (*Unit, error) {
	t.Helper()
	d := p.debug()
	x, err := d.Index()
	require.NoError(t, err)
	require.Equal(t, 1, x.Units())
	return d.Unit(x, 0)
}

func TestTiny(t *testing.T) {
	u, err := read(t, tiny([]byte("\x04name\x00"), entry1(2, 0x2100, 0x100, first), entry1(3, 0x2110, 0x10, first)))
	require.NoError(t, err)
	assert.Equal(t, []Frame{{Function: "name"}, {Function: "name"}}, u.Frames(0x2115, nil))
	assert.Equal(t, []Frame{{Function: "name"}}, u.Frames(0x2120, nil))
	assert.Empty(t, u.Frames(0x2200, nil))
}

// TestCycles: a function that is a copy of itself, or of one that is a copy of it.
func TestCycles(t *testing.T) {
	u, err := read(t, tiny(entry1(2, 0x2100, 0x100, first)))
	require.NoError(t, err)
	assert.Equal(t, []Frame{{}}, u.Frames(0x2150, nil))
	const size = 1 + 8 + 4 + 4
	u, err = read(t, tiny(entry1(2, 0x2100, 0x100, first+size), entry1(2, 0x2200, 0x100, first)))
	require.NoError(t, err)
	assert.Equal(t, []Frame{{}}, u.Frames(0x2150, nil))
}

// TestNesting: calls that were inlined into each other without end.
func TestNesting(t *testing.T) {
	entries := [][]byte{[]byte("\x04name\x00"), entry1(2, 0x2100, 0x100, first)}
	for range maxDepth - 10 {
		entries = append(entries, entry1(3, 0x2100, 0x100, first))
	}
	u, err := read(t, tiny(entries...))
	require.NoError(t, err)
	assert.Len(t, u.Frames(0x2150, nil), maxFrames)
	for range 20 {
		entries = append(entries, entry1(3, 0x2100, 0x100, first))
	}
	_, err = read(t, tiny(entries...))
	assert.ErrorIs(t, err, ErrTooLarge)
}

// TestReferencesOutOfTheUnit lead nowhere.
func TestReferencesOutOfTheUnit(t *testing.T) {
	for _, to := range []uint32{0, 5, 1 << 20, 1<<32 - 1} {
		_, err := read(t, tiny(entry1(2, 0x2100, 0x100, to)))
		assert.ErrorIs(t, err, ErrDamaged, "%#x", to)
	}
}

// TestManyUnitsWithOneTable: what units refer to together is not read without end.
func TestManyUnitsWithOneTable(t *testing.T) {
	var info []byte
	var abbrevs []byte
	for code := range 60_000 { // one large table, of which no unit has the beginning
		abbrevs = append(binary.AppendUvarint(abbrevs, uint64(code+1)), tagCompileUnit, 0, 0, 0)
	}
	abbrevs = append(abbrevs, 0)
	le := binary.LittleEndian
	for i := range uint32(200_000) {
		info = le.AppendUint16(le.AppendUint32(info, 8), 4)
		info = append(le.AppendUint32(info, i%60_000), addressSize, 1)
	}
	began := time.Now()
	x, err := parts{info, abbrevs}.debug().Index()
	require.NoError(t, err)
	assert.Less(t, time.Since(began), 20*time.Second)
	assert.Greater(t, x.Damaged, 100_000, fmt.Sprint(x.Units()))
}

// TestNamesThatOverlap: each is the end of another, and together they are much more than
// the file.
func TestNamesThatOverlap(t *testing.T) {
	var entries [][]byte
	for i := range uint32(maxBlock/maxText + 100) {
		entries = append(entries, entry1(5, 0x2100, 0x100, i))
	}
	p := tiny(entries...)
	p[2] = bytes.Repeat([]byte("x"), len(entries)+maxText)
	for i := range p[2] {
		p[2][i] += byte(i % 23)
	}
	p[2] = append(p[2], 0)
	_, err := read(t, p)
	require.NoError(t, err, "there are 23 different ones")
	r := rand.New(rand.NewPCG(1, 2))
	for i := range p[2][:len(p[2])-1] {
		p[2][i] = byte(1 + r.IntN(255))
	}
	_, err = read(t, p)
	assert.ErrorIs(t, err, ErrTooLarge)
}

// wide is an abbreviation with many attributes that take no bytes, and an empty text.
func wide(code, tag byte, attrs int) []byte {
	b := append([]byte{code, tag, 0}, bytes.Repeat([]byte{atCallLine, formFlagPresent}, attrs-1)...)
	return append(b, atName, formString, 0, 0)
}

// TestAttributesOfAnAbbreviation are bounded, and those that are refused are told of.
func TestAttributesOfAnAbbreviation(t *testing.T) {
	for attrs, want := range map[int]error{maxAttrs: nil, maxAttrs + 1: ErrTooLarge, maxAbbrevs / 4: ErrTooLarge} {
		p := tiny([]byte("\x0aname\x00"))
		p[1] = append(append(p[1][:len(p[1])-1:len(p[1])-1], wide(10, tagSubprogram, attrs)...), 0)
		d := p.debug()
		x, err := d.Index()
		require.NoError(t, err)
		_, err = d.Unit(x, 0)
		require.ErrorIs(t, err, want, attrs)
		if want != nil {
			assert.Equal(t, 1, x.Damaged, attrs)
			assert.ErrorContains(t, err, "abbreviations at 0", attrs)
		}
	}
}

// TestAttributesWithoutBytes: a unit has more of them than bytes, which costs its functions.
func TestAttributesWithoutBytes(t *testing.T) {
	for _, tag := range []byte{tagSubprogram, 0x34} {
		p := tiny(bytes.Repeat([]byte{10, 0}, 1<<17))
		p[1] = append(append(p[1][:len(p[1])-1:len(p[1])-1], wide(10, tag, maxAttrs)...), 0)
		_, err := read(t, p)
		assert.ErrorIs(t, err, ErrTooLarge, tag)
		p = tiny(bytes.Repeat([]byte{10, 0}, 1<<15))
		p[1] = append(append(p[1][:len(p[1])-1:len(p[1])-1], wide(10, tag, maxAttrs)...), 0)
		_, err = read(t, p)
		assert.NoError(t, err, tag)
	}
}

// TestAttributesOfManyUnits, which have them in their first entries.
func TestAttributesOfManyUnits(t *testing.T) {
	const units = 200_000
	le := binary.LittleEndian
	unit := append(le.AppendUint32(le.AppendUint16(le.AppendUint32(nil, 9), 4), 0), addressSize, 1, 0)
	x, err := parts{bytes.Repeat(unit, units), append(wide(1, tagCompileUnit, maxAttrs), 0)}.debug().Index()
	require.NoError(t, err)
	assert.Equal(t, units, x.Units())
	assert.Greater(t, x.Damaged, units/2)
}

// manyTables are units that have a table each, which all have many attributes.
func manyTables(units int) (p parts) {
	table := wide(1, tagCompileUnit, 2)
	for code := range byte(100) {
		table = append(table, wide(code+2, tagSubprogram, maxAttrs)...)
	}
	table = append(table, 0)
	le := binary.LittleEndian
	for i := range units {
		p[0] = le.AppendUint16(le.AppendUint32(p[0], 9), 4)
		p[0] = append(le.AppendUint32(p[0], uint32(i*len(table))), addressSize, 1, 0)
	}
	p[1] = bytes.Repeat(table, units)
	return p
}

// TestMemoryOfTables: those that are kept for other units, and for units that are kept.
func TestMemoryOfTables(t *testing.T) {
	const units = 300 // of 600 KiB each
	d := manyTables(units).debug()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x, err := d.Index()
	require.NoError(t, err)
	require.Equal(t, units, x.Units())
	assert.Zero(t, x.Damaged)
	d.index = x
	for _, off := range x.offsets {
		d.budget()
		_, err := d.unitAround(off)
		require.NoError(t, err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.Less(t, after.HeapAlloc, before.HeapAlloc+2*maxKept)
	assert.NotEmpty(t, d.abbrevs)

	_, err = d.table(d.abbrev, 0, 4, addressSize)
	require.NoError(t, err)
	kept := d.kept
	_, err = d.table(d.abbrev, 0, 4, addressSize)
	require.NoError(t, err)
	assert.Equal(t, kept, d.kept, "it is there already")
}

// TestOneLargeTable takes more memory than all may.
func TestOneLargeTable(t *testing.T) {
	p := manyTables(1)
	p[1] = append(bytes.Repeat(p[1][:len(p[1])-1], 80), 0)
	require.Less(t, len(p[1]), maxAbbrevs)
	x, err := p.debug().Index()
	require.NoError(t, err)
	assert.Equal(t, 1, x.Damaged)
}

// counting is a file that counts its reads.
type counting struct {
	io.ReaderAt
	reads int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.ReaderAt.ReadAt(p, off)
}

// TestAddressesThatAreFarApart: each of a list is in another part of its section, which is
// in a file.
func TestAddressesThatAreFarApart(t *testing.T) {
	const size = 4 * windowSize
	list := bytes.Repeat(append([]byte{rleIndexedIndexed, 0}, binary.AppendUvarint(nil, size/addressSize-2)...), maxRanges-1)
	var p parts
	le := binary.LittleEndian
	p[0] = append(le.AppendUint16(le.AppendUint32(nil, 4+2+1+1+4), 5), unitCompile, addressSize)
	p[0] = append(le.AppendUint32(p[0], 0), 1, 0, 0, 0, 0)
	le.PutUint32(p[0], uint32(len(p[0])-4))
	p[1] = []byte{1, tagCompileUnit, 0, atRanges, formSecOffset, 0, 0, 0}
	p[7] = append(list, rleEnd)
	file := &counting{ReaderAt: bytes.NewReader(append(bareELF(), make([]byte, size)...))}
	img, err := elffile.Open(file, 64+size)
	require.NoError(t, err)
	d := p.debug()
	d.img = img
	d.addr = &section{name: "addr", debug: d, header: elffile.Section{Offset: 64, Size: size}, size: size}
	x, err := d.Index()
	require.NoError(t, err)
	assert.Equal(t, 1, x.Damaged)
	assert.Greater(t, file.reads, 100_000)
	assert.Less(t, file.reads, 300_000, "of %d", 2*maxRanges)
}

// stopping is a file that cannot be read any more once it has an error, which it has after
// a number of reads, if that is positive.
type stopping struct {
	io.ReaderAt
	err   error
	reads int
}

func (s *stopping) ReadAt(p []byte, off int64) (int, error) {
	if s.reads--; s.reads == 0 {
		s.err = io.ErrClosedPipe
	}
	if s.err != nil {
		return 0, s.err
	}
	return s.ReaderAt.ReadAt(p, off)
}

// TestWorkInMemoryStops when the file cannot be read any more.
func TestWorkInMemoryStops(t *testing.T) {
	p := tiny(bytes.Repeat([]byte{10}, 2<<20)) // entries of a byte
	p[1] = append(append(p[1][:len(p[1])-1:len(p[1])-1], 10, 0x34, 0, atCallLine, formFlagPresent, 0, 0), 0)
	file := &stopping{ReaderAt: bytes.NewReader(bareELF())}
	img, err := elffile.Open(file, 64)
	require.NoError(t, err)
	d := p.debug()
	d.img = img
	x, err := d.Index()
	require.NoError(t, err)
	_, err = d.Unit(x, 0)
	require.NoError(t, err)
	file.err = io.ErrClosedPipe
	_, err = d.Unit(x, 0)
	require.ErrorIs(t, err, io.ErrClosedPipe)

	d = manyTables(100).debug()
	d.img = img
	_, err = d.Index()
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

// TestFilesThatCannotBeReadAreNotDamaged: whenever the reader is told to stop, that is what
// is said.
func TestFilesThatCannotBeReadAreNotDamaged(t *testing.T) {
	dir := t.TempDir()
	for name, flags := range map[string][]string{"plain": nil, "compressed": {"-gz"}} {
		source, object, other := filepath.Join(dir, "one.c"), filepath.Join(dir, name), mustAbs(t, "testdata/truth.c")
		require.NoError(t, os.WriteFile(source, []byte("int one(int x) { return x; }"), 0o600))
		run(t, dir, append([]string{"gcc", "-O2", "-g", "-o", object, source, other}, flags...)...)
		data, err := os.ReadFile(object)
		require.NoError(t, err)
		stops := 0
		for n := 1; ; n++ {
			file := &stopping{ReaderAt: bytes.NewReader(data), reads: n}
			img, sections, err := openELF(file, int64(len(data)))
			var d *Debug
			if err == nil {
				d, err = Open(img, sections, nil)
			}
			var x *Index
			if err == nil {
				x, err = d.Index()
				stops++
			}
			if err == nil {
				require.Zero(t, x.Damaged)
				require.Positive(t, x.Units())
				break
			}
			require.ErrorIs(t, err, io.ErrClosedPipe, "%s, %d reads", name, n)
		}
		assert.Greater(t, stops, 3, name)
	}
}
