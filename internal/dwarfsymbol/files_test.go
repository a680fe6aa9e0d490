// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lined is a unit of code from 0x2000 on, in /made, with a line program: tables are its
// directories and files, and each of the used files has a line, from 1 on.
func lined(version uint16, tables []byte, used ...uint64) parts {
	le := binary.LittleEndian
	body := binary.LittleEndian.AppendUint64([]byte{1}, 0x2000)
	body = append(le.AppendUint32(le.AppendUint32(body, 0x1000), 0), "/made\x00"...)
	info := le.AppendUint16(le.AppendUint32(nil, uint32(len(body)+7)), 4)
	info = append(append(le.AppendUint32(info, 0), addressSize), body...)
	abbrevs := []byte{1, tagCompileUnit, 0, atLowPC, formAddr, atHighPC, formData4, atStmtList, formSecOffset, atCompDir, formString, 0, 0, 0}

	fields := []byte{1, 1, 1, 0, 1, 10} // from the length of instructions to the opcodes, of which 9 have operands
	if version < 4 {
		fields = []byte{1, 1, 0, 1, 10}
	}
	header := bytes.Join([][]byte{fields, {0, 1, 1, 1, 1, 0, 0, 0, 1}, tables}, nil)
	program := le.AppendUint64([]byte{lnsExtended, 9, lneSetAddress}, 0x2000)
	for _, n := range used {
		program = append(binary.AppendUvarint(append(program, lnsSetFile), n), lnsCopy, lnsAdvanceLine, 1, lnsAdvancePC, 1)
	}
	program = append(program, lnsExtended, 1, lneEndSequence)
	line := le.AppendUint16(nil, version)
	if version >= 5 {
		line = append(line, addressSize, 0)
	}
	line = bytes.Join([][]byte{le.AppendUint32(line, uint32(len(header))), header, program}, nil)
	return parts{info, abbrevs, 8: append(le.AppendUint32(nil, uint32(len(line))), line...)}
}

// newTable is a table of DWARF 5 of n entries.
func newTable(formats []byte, n uint64, entries []byte) []byte {
	b := append([]byte{byte(len(formats) / 2)}, formats...)
	return append(binary.AppendUvarint(b, n), entries...)
}

// TestFiles: paths of all kinds.
func TestFiles(t *testing.T) {
	old := []byte("inc\x00/abs\x00\x00" + "a.c\x00\x00\x00\x00" + "b.h\x00\x01\x00\x00" + "c.h\x00\x02\x07\x08" + "/d.h\x00\x01\x00\x00" + "e.h\x00\x63\x00\x00" + "\x00")
	directories := newTable([]byte{contentPath, formString}, 3, []byte("/made\x00inc\x00/abs\x00"))
	new := append(directories, newTable([]byte{contentPath, formString, contentDirectory, formData1}, 6,
		[]byte("a.c\x00\x00"+"a.c\x00\x00"+"b.h\x00\x01"+"c.h\x00\x02"+"/d.h\x00\x01"+"e.h\x00\x63"))...)
	paths := []string{"/made/a.c", "/made/inc/b.h", "/abs/c.h", "/d.h", "/made/e.h", ""}
	for version, tables := range map[uint16][]byte{2: old, 3: old, 4: old, 5: new} {
		u, err := read(t, lined(version, tables, 1, 2, 3, 4, 5, 6, 1))
		require.NoError(t, err, version)
		for i, want := range append(paths, "/made/a.c") {
			var frames []Frame
			if want != "" {
				frames = []Frame{{File: want, Line: i + 1}}
			}
			assert.Equal(t, frames, u.Frames(0x2000+uint64(i), nil), "version %d, file %d", version, i+1)
		}
	}
}

// TestFilesOfOneLongName: each takes some bytes in the table, and could take thousands in
// memory.
func TestFilesOfOneLongName(t *testing.T) {
	const n = 1 << 16
	long := strings.Repeat("x", maxText-len("/made/"))
	tables := append(newTable([]byte{contentPath, formString}, 1, []byte("/made\x00")), newTable([]byte{contentPath, formLineStrp}, n, make([]byte, 4*n))...)
	p := lined(5, tables, 1)
	p[3] = []byte(long + "\x00")
	var u *Unit
	var err error
	assert.Less(t, allocated(func() { u, err = read(t, p) }), uint64(8<<20))
	require.NoError(t, err)
	assert.True(t, slices.Equal([]Frame{{File: "/made/" + long, Line: 1}}, u.Frames(0x2000, nil)))

	// A program that uses all of them.
	used := make([]uint64, n)
	for i := range used {
		used[i] = uint64(i)
	}
	p = lined(5, tables, used...)
	p[3] = []byte(long + "\x00")
	assert.Less(t, allocated(func() { _, err = read(t, p) }), uint64(8*maxPaths))
	assert.ErrorIs(t, err, ErrTooLarge)
}

// TestFilesOfOneLongDirectory: the same in DWARF 2 to 4.
func TestFilesOfOneLongDirectory(t *testing.T) {
	const n = 1 << 16
	used := make([]uint64, n)
	for i := range used {
		used[i] = uint64(i + 1)
	}
	tables := strings.Repeat("x", 1<<20) + "\x00\x00" + strings.Repeat("y\x00\x01\x00\x00", n) + "\x00"
	p := lined(4, []byte(tables), used...)
	var err error
	assert.Less(t, allocated(func() { _, err = read(t, p) }), uint64(8*maxPaths))
	assert.ErrorIs(t, err, ErrTooLarge)
}

// TestFilesThatShareALongEntry: each could have it read again.
func TestFilesThatShareALongEntry(t *testing.T) {
	const n = 1 << 16
	used := make([]uint64, n)
	for i := range used {
		used[i] = uint64(i)
	}
	long := append([]byte("a\x00"), append(bytes.Repeat([]byte{0x80}, 4<<20), 0)...)
	directories := newTable([]byte{contentPath, formString, contentTime, formUdata}, 1, long)
	p := lined(5, append(directories, newTable([]byte{contentPath, formString}, n, bytes.Repeat([]byte("b\x00"), n))...), used...)
	began := time.Now()
	_, err := read(t, p)
	assert.ErrorIs(t, err, ErrTooLarge)
	assert.Less(t, time.Since(began), 5*time.Second)
}

// TestFilesWithoutBytes: as many as the header says would be in a few bytes.
func TestFilesWithoutBytes(t *testing.T) {
	const n = 4 << 20
	for _, form := range []byte{formFlagPresent, formImplicitConst} {
		p := lined(5, append(newTable(nil, 0, nil), newTable([]byte{contentDirectory, form}, n, make([]byte, n))...))
		var err error
		assert.Less(t, allocated(func() { _, err = read(t, p) }), uint64(4*n), form)
		assert.ErrorIs(t, err, ErrDamaged, form)
	}
	for name, tables := range map[string][]byte{
		"less than they take": newTable([]byte{contentPath, formData4}, 3, make([]byte, 11)),
		"without format":      newTable(nil, 1, make([]byte, 11)),
		"cut":                 newTable([]byte{contentPath, formString}, 2, []byte("a\x00bc")),
		"cut in the formats":  {3, contentPath},
	} {
		_, err := read(t, lined(5, tables))
		assert.ErrorIs(t, err, ErrDamaged, name)
	}
	_, err := read(t, lined(4, []byte("\x00"+"a.c\x00\x00\x00\x00")))
	assert.ErrorIs(t, err, ErrDamaged, "without end")
}

// TestTooManyFiles, and too much about each.
func TestTooManyFiles(t *testing.T) {
	const n = maxFiles + 1
	none := newTable(nil, 0, nil)
	for name, p := range map[string]parts{
		"new":              lined(5, append(none, newTable([]byte{contentDirectory, formData1}, n, make([]byte, n))...)),
		"new directories":  lined(5, newTable([]byte{contentDirectory, formData1}, n, make([]byte, n))),
		"old":              lined(4, []byte("\x00"+strings.Repeat("y\x00\x00\x00\x00", n)+"\x00")),
		"old directories":  lined(2, []byte(strings.Repeat("y\x00", n)+"\x00\x00")),
		"too much of each": lined(5, append(none, newTable(bytes.Repeat([]byte{contentDirectory, formData1}, maxFormats+1), 0, nil)...)),
	} {
		var err error
		assert.Less(t, allocated(func() { _, err = read(t, p) }), uint64(64*n), name)
		assert.ErrorIs(t, err, ErrTooLarge, name)
	}
}

// TestNamesOfFilesThatAreNotUsed are not looked at.
func TestNamesOfFilesThatAreNotUsed(t *testing.T) {
	files := newTable([]byte{contentPath, formLineStrp}, 2, []byte{0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	tables := append(newTable([]byte{contentPath, formString}, 1, []byte("/made\x00")), files...)
	for file, want := range []error{nil, ErrDamaged} {
		p := lined(5, tables, uint64(file))
		p[3] = []byte("a.c\x00")
		u, err := read(t, p)
		require.ErrorIs(t, err, want)
		if want == nil {
			assert.Equal(t, []Frame{{File: "/made/a.c", Line: 1}}, u.Frames(0x2000, nil))
		}
	}
}
