// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"bytes"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// opened returns a file and its index.
func opened(t *testing.T, r io.ReaderAt, size int64) (*elffile.File, []elffile.Section, *Index) {
	t.Helper()
	f, err := elffile.Open(r, size)
	if err != nil {
		t.Fatal(err)
	}
	sections, err := f.Sections()
	if err != nil {
		t.Fatal(err)
	}
	in, err := Locate(f, sections)
	if err != nil {
		t.Fatal(err)
	}
	x, err := ReadIndex(in)
	if err != nil {
		t.Fatal(err)
	}
	return f, sections, x
}

// check compares what units say of addresses with what the whole says.
func check(t *testing.T, f *elffile.File, sections []elffile.Section, x *Index, whole *Table, addrs []uint64) {
	t.Helper()
	units := map[uint32]*Table{}
	var numbers []uint32
	for _, addr := range addrs {
		if n, ok := x.Unit(addr); ok && units[n] == nil {
			units[n] = &Table{}
			numbers = append(numbers, n)
		}
	}
	tables, err := x.Read(f, sections, numbers)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range numbers {
		units[n] = tables[i]
	}
	for _, addr := range addrs {
		want := whole.Frames(addr, nil)
		var got []Frame
		if n, ok := x.Unit(addr); ok {
			got = units[n].Frames(addr, nil)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%#x: %v, not %v", addr, got, want)
		}
	}
}

func TestUnitsSayWhatTheWholeSays(t *testing.T) {
	path := goRoot(t) + "/bin/go"
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	whole := sample(t)
	f, sections, x := opened(t, file, info.Size())
	check(t, f, sections, x, whole, randomAddresses(whole, 20_000))
	if limit := 4*whole.Functions()/unitFunctions + 512; x.Bytes() > limit {
		t.Errorf("the index has %d bytes", x.Bytes())
	}
}

func TestUnitsOfAllVersions(t *testing.T) {
	want := sample(t).cut(100, 300)
	for _, magic := range magics {
		p := encode(want, magic)
		whole, err := readAll(p.input())
		if err != nil {
			t.Fatal(err)
		}
		start, end := whole.Range()
		var addrs []uint64
		for addr := start - 1; addr <= end; addr += 3 {
			addrs = append(addrs, addr)
		}
		for _, content := range [][]byte{fixedELF(p), movableELF(p)} {
			f, sections, x := opened(t, bytes.NewReader(content), int64(len(content)))
			check(t, f, sections, x, whole, addrs)
		}
	}
}

// A unit that cannot be read leaves the others.
func TestDamagedUnit(t *testing.T) {
	p := encode(sample(t).cut(100, 4*unitFunctions), magic120)
	content := fixedELF(p)
	_, _, x := opened(t, bytes.NewReader(content), int64(len(content)))
	at := bytes.Index(content, p.Table)
	h, err := parseHeader(p.Table, uint64(len(p.Table)))
	if err != nil {
		t.Fatal(err)
	}
	// The record of a function of unit 2 is said to be before all records.
	clear(content[at+int(h.parts[4])+(2*2*unitFunctions+1)*h.word:][:h.word])
	f, sections, _ := opened(t, bytes.NewReader(content), int64(len(content)))
	tables, err := x.Read(f, sections, []uint32{0, 1, 2, 3, 4})
	if err == nil || tables[0] == nil || tables[1] == nil || tables[2] != nil || tables[3] == nil || tables[4] != nil {
		t.Fatal(tables, err)
	}
}
