// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// same fails if two tables differ in what they say of the code of want.
func same(t *testing.T, got, want *Table, startLines bool) {
	t.Helper()
	if got.Functions() != want.Functions() {
		t.Fatalf("%d functions of %d", got.Functions(), want.Functions())
	}
	from, end := want.Range()
	deep := 0
	for addr := from; addr < end; addr++ {
		a, b := got.Frames(addr-from+textAddr, nil), want.Frames(addr, nil)
		deep = max(deep, len(b))
		if !startLines {
			for i := range b {
				b[i].StartLine = 0
			}
		}
		if !slices.Equal(a, b) {
			t.Fatalf("%#x: %v, not %v", addr, a, b)
		}
	}
	if deep < 3 {
		t.Errorf("only %d deep", deep)
	}
}

func TestVersions(t *testing.T) {
	want := sample(t).cut(100, 300)
	for _, magic := range magics {
		in := encode(want, magic)
		got, err := readAll(in.input())
		if err != nil || !got.inlines {
			t.Fatal(err)
		}
		same(t, got, want, magic == magic120)
		for name, file := range map[string][]byte{"fixed": fixedELF(in), "movable": movableELF(in)} {
			got, err := readELF(bytes.NewReader(file), int64(len(file)))
			if err != nil || !got.inlines {
				t.Fatalf("%#x, %s: %v", magic, name, err)
			}
			same(t, got, want, magic == magic120)
		}
	}
}

func TestTreesOutsideOfTable(t *testing.T) {
	want := sample(t).cut(100, 300)
	for _, magic := range magics {
		in := encode(want, magic)
		at := in.GoFunc - in.Address
		calls := 0
		all := in.Table
		in.Table = bytes.Clone(all[:at])
		in.Memory = func(addr, n uint64) ([]byte, bool) {
			calls++
			return all[addr-in.Address:][:n], true
		}
		got, err := readAll(in.input())
		if err != nil || !got.inlines || calls == 0 {
			t.Fatal(err, calls)
		}
		same(t, got, want, magic == magic120)
	}
}

func TestWithoutTrees(t *testing.T) {
	want := sample(t).cut(100, 300)
	in := encode(want, magic120)
	for name, change := range map[string]func(*program){
		"unknown":        func(in *program) { in.GoFunc = 0 },
		"elsewhere":      func(in *program) { in.GoFunc = 1 << 40 },
		"wrong by words": func(in *program) { in.GoFunc -= 8 },
		"lost":           func(in *program) { in.Memory = func(_, _ uint64) ([]byte, bool) { return nil, false }; in.GoFunc = 1 },
	} {
		in := in
		change(&in)
		got, err := readAll(in.input())
		if err != nil || got.inlines {
			t.Fatal(name, err)
		}
		from, end := want.Range()
		for addr := from; addr < end; addr++ {
			a, b := got.Frames(addr-from+textAddr, nil), want.Frames(addr, nil)
			last := b[len(b)-1]
			if len(b) > 1 { // the line is another function's
				last.File, last.Line = "", 0
			}
			if len(a) != 1 || a[0] != last {
				t.Fatalf("%s: %#x: %v, not %v", name, addr, a, last)
			}
		}
	}
}

func TestReadErrors(t *testing.T) {
	in := encode(sample(t).cut(100, 20), magic120)
	le := binary.LittleEndian
	for _, c := range []struct {
		name   string
		change func(*program)
		want   error
	}{
		{"empty", func(in *program) { in.Table = nil }, ErrDamaged},
		{"Go 1.2", func(in *program) { le.PutUint32(in.Table, 0xfffffffb) }, ErrVersion},
		{"big-endian", func(in *program) { binary.BigEndian.PutUint32(in.Table, magic120) }, ErrVersion},
		{"next", func(in *program) { le.PutUint32(in.Table, 0xfffffff2) }, ErrVersion},
		{"32-bit", func(in *program) { in.Table[7] = 4 }, ErrVersion},
		{"no text", func(in *program) { in.Text = 0 }, ErrText},
		{"no functions", func(in *program) { le.PutUint64(in.Table[8:], 0) }, ErrDamaged},
		{"functions", func(in *program) { le.PutUint64(in.Table[8:], 1<<61) }, ErrDamaged},
		{"parts", func(in *program) { le.PutUint64(in.Table[40:], 1<<63) }, ErrDamaged},
		{"order of parts", func(in *program) { le.PutUint64(in.Table[40:], 0) }, ErrDamaged},
		{"cut", func(in *program) { in.Table = in.Table[:le.Uint64(in.Table[64:])+200] }, ErrDamaged},
		{"large", func(in *program) { in.Table = make([]byte, maxTable+1) }, ErrTooLarge},
	} {
		in := in
		in.Table = bytes.Clone(in.Table)
		c.change(&in)
		if got, err := readAll(in.input()); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v, not %v", c.name, err, c.want)
		}
	}
	// The text's address is in the header of some versions.
	old := encode(sample(t).cut(100, 20), magic118)
	old.Text = 0
	le.PutUint64(old.Table[24:], textAddr)
	if got, err := readAll(old.input()); err != nil || got.text != textAddr {
		t.Error(err)
	}
}

func TestLocateErrors(t *testing.T) {
	in := encode(sample(t).cut(100, 20), magic120)
	file := fixedELF(in)
	for _, c := range []struct {
		name string
		file []byte
		want error
	}{
		{"empty", nil, elffile.ErrNotELF},
		{"text", bytes.Repeat([]byte("text"), 100), elffile.ErrNotELF},
		{"C", buildELF(testSection{".data.rel.ro", shtProgbits, in.Address, in.Table}), ErrNoTable},
		{"cut", file[:len(file)-1], elffile.ErrDamaged},
		{"nothing to tell the text", buildELF(testSection{".gopclntab", shtProgbits, in.Address, in.Table}), ErrText},
	} {
		if got, err := readELF(bytes.NewReader(c.file), int64(len(c.file))); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v, not %v", c.name, err, c.want)
		}
	}
	// The file became shorter.
	if _, err := readELF(bytes.NewReader(file[:len(file)/2]), int64(len(file))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// TestCycle gives the calls of a tree each other as parents.
func TestCycle(t *testing.T) {
	table := *sample(t).cut(100, 300)
	table.calls = slices.Clone(table.calls)
	for i := range table.calls {
		table.calls[i].parent = 0
	}
	for i := range table.funcs {
		table.pcs = append(slices.Clip(table.pcs), 2, 0x80, 0x80, 0x80, 0x01, 0) // 0 all the way
		table.funcs[i].inlined = uint32(len(table.pcs) - 6)
	}
	start, _ := table.Range()
	got := table.Frames(start, nil)
	if len(got) != maxDepth+1 || got[maxDepth].Line != 0 || got[maxDepth].Function == "" {
		t.Fatalf("%d frames, last %v", len(got), got[len(got)-1])
	}
}

// TestLongTable bounds the work for one address.
func TestLongTable(t *testing.T) {
	table := *sample(t).cut(100, 1)
	at := len(table.pcs)
	table.pcs = append(slices.Clip(table.pcs), bytes.Repeat([]byte{2, 0}, 4*maxSteps)...)
	table.funcs = []function{{line: uint32(at), file: uint32(at), inlined: uint32(at)}}
	start, _ := table.Range()
	if got := table.Frames(start, nil); len(got) != 1 || got[0].Line != 0 {
		t.Fatal(got)
	}
}

// TestTooManyEntries reads a function with a pc table that is as long as it may be, and one that
// is longer, which no function of a real program is.
func TestTooManyEntries(t *testing.T) {
	entries := func(n int) *Table { // the line grows by one with each byte of code
		table := *sample(t).cut(100, 1)
		end := table.starts[0] + uint32(n)
		table.starts, table.funcs = []uint32{table.starts[0], end}, slices.Clone(table.funcs)
		table.funcs[0].line = uint32(len(table.pcs))
		table.funcs[0].inlined = 0
		table.pcs = append(append(slices.Clip(table.pcs), bytes.Repeat([]byte{2, 1}, n)...), 0)
		whole := uint32(len(table.pcs))
		table.pcs = append(table.pcs, 2, 0x80, 0x80, 0x80, 0x01, 0) // one file for all of it
		table.funcs[0].file = whole
		table.files = []file{{0, table.files[table.funcs[0].files].name}}
		table.funcs[0].files = 0
		table.quantum = 1
		return &table
	}
	last := maxEntries - 1
	got, err := readAll(encode(entries(maxEntries), magic120).input())
	if err != nil {
		t.Fatal(err)
	}
	if f := got.Frames(textAddr+uint64(last), nil); len(f) != 1 || f[0].Line != last {
		t.Fatal(f)
	}
	got, err = readAll(encode(entries(maxEntries+1), magic120).input())
	if !errors.Is(err, ErrTooLarge) || got != nil {
		t.Fatal(err)
	}
}

func TestFramesDoNotAllocate(t *testing.T) {
	table := sample(t)
	addrs := randomAddresses(table, 100)
	out := make([]Frame, 0, maxDepth+1)
	if n := testing.AllocsPerRun(10, func() {
		for _, a := range addrs {
			out = table.Frames(a, out[:0])
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFramesOutside(t *testing.T) {
	table := sample(t)
	start, end := table.Range()
	for _, addr := range []uint64{0, start - 1, end, 1 << 63, 1<<64 - 1} {
		if got := table.Frames(addr, nil); len(got) != 0 {
			t.Errorf("%#x: %v", addr, got)
		}
	}
	if got := (&Table{}).Frames(0, nil); len(got) != 0 {
		t.Error(got)
	}
}
