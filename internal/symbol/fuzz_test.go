// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bytes"
	"debug/elf"
	"strings"
	"testing"
)

func FuzzRead(f *testing.F) {
	symbols := []testSymbol{fn("outer", 0, 0x40, elf.STB_GLOBAL), fn("inner@@V1", 8, 8, elf.STB_WEAK), fn("asm", 0x80, 0, elf.STB_LOCAL)}
	notes := append(note("GNU\x00", 3, []byte{1, 2, 3}), note("Go\x00\x00", 4, []byte("id"))...)
	f.Add(elfBuilder{hollow: true, symtab: symbols, dynsym: symbols, notes: notes}.build(), uint16(0))
	f.Add(elfBuilder{hollow: true, symtab: symbols, noSegmentNote: true, notes: notes}.build(), uint16(1))
	f.Add([]byte(elf.ELFMAG), uint16(1000))
	f.Fuzz(func(t *testing.T, data []byte, zeros uint16) {
		// A sparse file: up to 64 GiB of zeros follow.
		file := sparse{data, int64(len(data)) + int64(zeros)<<20}
		got, err := Read(file, file.size, everything)
		if got == nil || got.HTLHash() == "" {
			t.Fatalf("no file: %v", err)
		}
		if got.Bytes() > 16*len(data)+4096 {
			t.Fatalf("%d bytes of file became %d", len(data), got.Bytes())
		}
		checkTable(t, got)
		got.Address(0)
		got.Address(1 << 63)
	})
}

// checkTable holds what must be true of any table.
func checkTable(t *testing.T, f *File) {
	end := uint64(0)
	for i, start := range f.functions.starts {
		if start < end || f.functions.lengths[i] == 0 {
			t.Fatalf("range %d begins at %#x, the one before ends at %#x", i, start, end)
		}
		end = start + uint64(f.functions.lengths[i])
		for _, addr := range []uint64{start, end - 1} {
			if name, ok := f.Name(addr); !ok || name == "" || len(name) > maxName {
				t.Fatalf("%#x: %q, %v", addr, name, ok)
			}
		}
	}
}

func FuzzKallsyms(f *testing.F) {
	f.Add(kallsymsText)
	f.Add("0000000000000000 T a\n")
	f.Add("ffffffff81000000 T a\t[m]\nffffffff81000000 t \t\n")
	f.Add(strings.Repeat("f", 2*maxLine))
	f.Fuzz(func(t *testing.T, text string) {
		k, err := readKallsyms(strings.NewReader(text), kallsyms{}) // without room for a whole kernel
		if (k == nil) == (err == nil) {
			t.Fatal(k, err)
		}
		if err != nil {
			return
		}
		if k.Bytes() > 8*len(text)+4096 {
			t.Fatalf("%d bytes of text became %d", len(text), k.Bytes())
		}
		for i, addr := range k.starts {
			if i > 0 && addr <= k.starts[i-1] {
				t.Fatalf("%#x is not above %#x", addr, k.starts[i-1])
			}
			if name, _, ok := k.Name(addr); ok && !strings.Contains(text, name) {
				t.Fatalf("%q is not in the list", name)
			}
		}
	})
}

func FuzzBuildIDFromNotes(f *testing.F) {
	f.Add(note("GNU\x00", 3, []byte{1, 2, 3}))
	f.Add(append(note("Go\x00\x00", 4, []byte("id")), note("GNU\x00", 5, nil)...))
	f.Fuzz(func(t *testing.T, notes []byte) {
		if id := BuildIDFromNotes(notes); len(id) > 2*maxBuildID {
			t.Fatal(id)
		}
		if id := goBuildIDFromNotes(notes); !bytes.Contains(notes, []byte(id)) {
			t.Fatal(id)
		}
	})
}
