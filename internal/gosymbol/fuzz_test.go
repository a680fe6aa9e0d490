// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"bytes"
	"testing"
)

// seed returns a small table of real functions.
func seed(f *testing.F, n int) *Table {
	return sample(f).cut(100, n)
}

func FuzzRead(f *testing.F) {
	small := seed(f, 12)
	for _, magic := range magics {
		in := encode(small, magic)
		f.Add(in.Table, in.Text, in.GoFunc, []byte(nil))
		at := in.GoFunc - in.Address
		f.Add(in.Table[:at], in.Text, in.GoFunc, in.Table[at:])
	}
	f.Fuzz(func(t *testing.T, table []byte, text, goFunc uint64, memory []byte) {
		in := program{
			Table: table, Address: tableAddr, Text: text, GoFunc: goFunc,
			Memory: func(_, n uint64) ([]byte, bool) {
				if n > maxTable {
					t.Fatalf("%d bytes", n)
				}
				return memory[:min(n, uint64(len(memory)))], true
			},
		}.input()
		got, err := readAll(in)
		if (got == nil) == (err == nil) {
			t.Fatal(got, err)
		}
		if err == nil {
			checkTable(t, got, len(table)+len(memory))
		}
		spans, last := 0, uint64(0)
		err = Spans(in, func(s Span) error {
			if spans++; s.Start >= s.End || s.Start < last || s.Size < 0 {
				t.Fatalf("%+v behind %#x", s, last)
			}
			last = s.End
			return nil
		})
		if spans > len(table) {
			t.Fatal(spans, "spans", err)
		}
	})
}

func FuzzLocate(f *testing.F) {
	small := seed(f, 4)
	for _, magic := range magics {
		in := encode(small, magic)
		f.Add(fixedELF(in))
		f.Add(movableELF(in))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := readELF(bytes.NewReader(file), int64(len(file)))
		if (got == nil) == (err == nil) {
			t.Fatal(got, err)
		}
		if err == nil {
			checkTable(t, got, 2*len(file)) // sections overlap
		}
	})
}

// checkTable holds what must be true of any table that was read from size bytes.
func checkTable(t *testing.T, table *Table, size int) {
	if n := table.Bytes(); n > 2*size+4096 { // slices grow by size classes
		t.Fatalf("%d bytes became %d", size, n)
	}
	for i := range min(table.Functions(), 64) {
		for _, addr := range []uint64{uint64(table.starts[i]), uint64(table.starts[i+1]) - 1} {
			got := table.Frames(table.text+addr, nil)
			if len(got) > maxDepth+1 {
				t.Fatalf("%d frames", len(got))
			}
			for _, f := range got {
				if len(f.Function) > maxName || len(f.File) > maxName || f.Line < 0 || (f.File == "") != (f.Line == 0) && f.Line != 0 {
					t.Fatalf("%#x: %v", addr, f)
				}
			}
		}
	}
	table.Frames(0, nil)
	table.Frames(1<<64-1, nil)
}
