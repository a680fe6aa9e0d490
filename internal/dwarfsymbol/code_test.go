// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"debug/elf"
	"encoding/binary"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// TestRemovedFunction is described at address 0, from which on the segment of code is, and
// is longer than the way to the first code.
func TestRemovedFunction(t *testing.T) {
	source := mustAbs(t, "testdata/gone.c")
	for _, compiler := range []string{"gcc", "clang-19"} {
		for _, version := range []string{"-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5"} {
			t.Run(compiler+" "+version, func(t *testing.T) {
				dir := t.TempDir()
				run(t, dir, compiler, "-O1", "-g", version, "-ffunction-sections", "-fPIE", "-pie",
					"-Wl,--gc-sections", "-Wl,-z,noseparate-code", "-o", "program", source)
				file := filepath.Join(dir, "program")
				img, err := elf.Open(file)
				require.NoError(t, err)
				defer img.Close()
				require.True(t, codeAt(img, 0))
				p := load(t, file, nil)
				checkKept(t, p, source, "main")
				checkKept(t, p, source, "kept")
				for _, name := range []string{"_init", "_start", "_fini"} {
					_, ok := p.index.Unit(mark(t, file, name))
					assert.False(t, ok, name)
				}
				for _, name := range []string{".init", ".plt"} {
					_, ok := p.index.Unit(img.Section(name).Addr)
					assert.False(t, ok, name)
				}
			})
		}
	}
}

// codeAt says whether a segment of code has the address.
func codeAt(img *elf.File, addr uint64) bool {
	for _, p := range img.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && addr >= p.Vaddr && addr < p.Vaddr+p.Memsz {
			return true
		}
	}
	return false
}

// checkKept compares all addresses of a function with its lines in the source.
func checkKept(t *testing.T, p *program, source, name string) {
	t.Helper()
	start := mark(t, p.path, name)
	n, ok := p.index.Unit(start)
	require.True(t, ok, name)
	u, err := p.debug.Unit(p.index, n)
	require.NoError(t, err)
	for addr := start; addr < start+1000; addr++ { // they have so many instructions of a byte
		frames := u.Frames(addr, nil)
		require.Len(t, frames, 1, "%s+%d", name, addr-start)
		require.Equal(t, name, frames[0].Function)
		require.Equal(t, source, frames[0].File)
		require.GreaterOrEqual(t, frames[0].Line, lineOf(t, source, name+" begins"), "%s+%d", name, addr-start)
		require.LessOrEqual(t, frames[0].Line, lineOf(t, source, name+" ends"), "%s+%d", name, addr-start)
	}
}

func TestExecutable(t *testing.T) {
	const code = elf.SHF_ALLOC | elf.SHF_EXECINSTR
	segments := []elffile.Segment{
		{Type: elf.PT_LOAD, Flags: elf.PF_R | elf.PF_X, Addr: 0, Memsz: 0x1000},
		{Type: elf.PT_LOAD, Flags: elf.PF_R | elf.PF_W, Addr: 0x2000, Memsz: 0x1000},
		{Type: elf.PT_LOAD, Flags: elf.PF_X, Addr: math.MaxUint64, Memsz: 2},
	}
	sections := []elffile.Section{
		{Flags: code, Addr: 0x200, Size: 0x100},
		{Flags: code, Type: elf.SHT_NOBITS, Addr: 0x100, Size: 0x80}, // of a separate debug file
		{Flags: code, Addr: 0x180, Size: 0x10},
		{Flags: code, Addr: 0x240, Size: 0x10},
		{Flags: code, Addr: 0, Size: 0x1000},
		{Flags: code, Addr: math.MaxUint64, Size: 2},
		{Flags: elf.SHF_ALLOC, Addr: 0x400, Size: 0x10},
		{Flags: elf.SHF_EXECINSTR, Addr: 0x500, Size: 0x10},
	}
	d := Debug{code: executable(segments, sections)}
	assert.Equal(t, []extent{{0x100, 0x190}, {0x200, 0x300}}, d.code)
	for e, want := range map[extent]bool{
		{0, 0x80}: false, {0, 0x180}: false, {0xff, 0x110}: false, {0x100, 0x190}: true, {0x100, 0x191}: false,
		{0x170, 0x188}: true, {0x190, 0x1a0}: false, {0x188, 0x210}: false, {0x2ff, 0x300}: true, {0x300, 0x301}: false,
		{0x110, 0x110}: false, {0x120, 0x110}: false, {math.MaxUint64, 0x110}: false,
	} {
		assert.Equal(t, want, d.keeps(e), "%#x", e)
	}
	assert.Equal(t, []extent{{1, 0x1000}}, executable(segments, sections[6:]))
	assert.Empty(t, executable(nil, nil))
}

// TestRangesOfRemovedCode: lists that go out from where code was, if the linker left it out.
func TestRangesOfRemovedCode(t *testing.T) {
	le := binary.LittleEndian
	old := func(numbers ...uint64) (b []byte) {
		for _, n := range append(numbers, 0, 0) {
			b = le.AppendUint64(b, n)
		}
		return b
	}
	base := func(addr uint64) []byte {
		return append(le.AppendUint64([]byte{rleBase}, addr), rleOffsets, 0x10, 0x20)
	}
	var tests []removed
	for _, addr := range []uint64{0, 1, math.MaxUint64, math.MaxUint64 - 1} {
		tests = append(tests, removed{5, base(addr), nil}, removed{5, append(base(addr), base(0x2000)...), []extent{{0x2010, 0x2020}}})
		if addr != 0 {
			tests = append(tests, removed{4, old(math.MaxUint64, addr, 0x10, 0x20), nil})
		}
	}
	tests = append(tests,
		removed{4, old(0x10, 0x20, math.MaxUint64, 1, 0x30, 0x40, math.MaxUint64, 0, 0x50, 0x60), []extent{{0x10, 0x20}, {0x50, 0x60}}},
		removed{5, []byte{rleOffsets, 0x10, 0x20}, []extent{{0x10, 0x20}}},
		removed{5, append(base(0), append(le.AppendUint64([]byte{rleStartLength}, 0x30), 0x10)...), []extent{{0x30, 0x40}}},
	)
	for _, c := range tests {
		p := parts{6: c.list}
		if c.version == 5 {
			p = parts{7: append(c.list, rleEnd)}
		}
		d := p.debug()
		u := &unit{sections: d.sections, debug: d, version: c.version}
		var got []extent
		require.NoError(t, u.extents(value{}, value{}, value{form: formSecOffset}, func(e extent) { got = append(got, e) }))
		assert.Equal(t, c.want, got, "%d: %x", c.version, c.list)
	}
}

// removed is a list of ranges, and what is left of it.
type removed struct {
	version uint16
	list    []byte
	want    []extent
}
