// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"debug/elf"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

func TestBlindCode(t *testing.T) {
	rows := []Row{{0x100, 1}, {0x200, 0}, {0x210, 1}, {0x300, 0}, {0x400, 2}, {0x500, 3}, {0x600, 0}}
	for _, c := range []struct {
		start, end uint64
		want       [][2]uint64
	}{
		{0x1000, 0x2000, [][2]uint64{{0x1000, 0x1100}, {0x1300, 0x1400}, {0x1600, 0x2000}}},
		{0x1100, 0x1600, [][2]uint64{{0x1300, 0x1400}}},
		{0x1350, 0x13c0, [][2]uint64{{0x1350, 0x13c0}}},
		{0x1350, 0x1360, nil}, // too short
		{0x3000, 0x3100, [][2]uint64{{0x3000, 0x3100}}},
	} {
		var got [][2]uint64
		for from, to := range blind(rows, 0x1000, c.start, c.end) {
			got = append(got, [2]uint64{from, to})
		}
		assert.Equal(t, c.want, got, "%#x", c.start)
	}
}

// What signal handlers return to is found wherever it lies in the code that is searched,
// also across the ends of what is read at once.
func TestSignalReturnsAreFound(t *testing.T) {
	const base = 0x10000
	for _, at := range []int{1, 5, blindWindow - 9, blindWindow - 8, blindWindow - 1, blindWindow, 2*blindWindow + 91} {
		code := make([]byte, 2*blindWindow+100)
		copy(code[at:], signalReturnCode)
		file := elfBuilder{}.build()
		bias := uint64(len(file))
		b := builder{r: bytes.NewReader(append(file, code...)), dictionary: newDictionary(), table: &Table{Arch: AMD64, Base: base}}
		b.code = []elffile.Segment{{Type: elf.PT_LOAD, Flags: elf.PF_X, Offset: bias, Addr: base, Filesz: uint64(len(code)), Memsz: uint64(len(code))}}
		rows, err := b.signalReturns(nil)
		require.NoError(t, err)
		require.Equal(t, []Row{{uint32(at - 1), 1}, {uint32(at + 9), 0}}, rows, at)
		require.Equal(t, signalReturnRule, b.dictionary.rules[1])
		known := []Row{{0, 2}, {uint32(len(code)), 0}}
		rows, err = b.signalReturns(known)
		require.NoError(t, err)
		require.Empty(t, rows, "it is described")
	}
}

// A file that is full of them costs a few rows.
func TestSignalReturnsAreBounded(t *testing.T) {
	code := bytes.Repeat(append([]byte{0x90}, signalReturnCode...), 1000)
	file := elfBuilder{}.build()
	b := builder{r: bytes.NewReader(append(file, code...)), dictionary: newDictionary(), table: &Table{Arch: AMD64}}
	b.code = []elffile.Segment{{Type: elf.PT_LOAD, Flags: elf.PF_X, Offset: uint64(len(file)), Filesz: uint64(len(code)), Memsz: uint64(len(code))}}
	rows, err := b.signalReturns(nil)
	require.NoError(t, err)
	require.NotEmpty(t, rows)
	require.LessOrEqual(t, len(rows), 2*maxSignalReturns)
}

// A file may claim that it is all code.
func TestSearchedCodeIsBounded(t *testing.T) {
	b := builder{r: zeros{}, dictionary: newDictionary(), table: &Table{Arch: AMD64}}
	b.code = []elffile.Segment{{Type: elf.PT_LOAD, Flags: elf.PF_X, Filesz: 1 << 40, Memsz: 1 << 40}}
	_, err := b.signalReturns(nil)
	require.ErrorIs(t, err, ErrTooLarge)
}

// zeros is a file of any size.
type zeros struct{}

func (zeros) ReadAt(b []byte, _ int64) (int, error) { return len(b), nil }
