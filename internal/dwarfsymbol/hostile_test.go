// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
