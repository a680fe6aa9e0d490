// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func FuzzCompile(f *testing.F) {
	for _, data := range seeds(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Compile(bytes.NewReader(data), int64(len(data)))
		if (table == nil) == (err == nil) {
			t.Fatal(table, err)
		}
		if err == nil {
			checkTable(t, table)
		}
	})
}

// seeds are files made by hand, and by gcc if it is there.
func seeds(f *testing.F) [][]byte {
	eh, debug := frameBuilder{eh: true}, frameBuilder{}
	first := eh.fde(eh.cie(testCIE{}), absolute(0, 0x40), twoCode)
	debug.fde(debug.cie(testCIE{version: 4}), absolute(0x20, 0x40), twoCode)
	out := [][]byte{
		elfBuilder{eh: eh.data, debug: debug.data}.build(),
		elfBuilder{eh: eh.data, head: head(listed, first), noSections: true}.build(),
		elfBuilder{machine: elf.EM_AARCH64, debug: debug.data}.build(),
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		return out
	}
	dir := f.TempDir()
	source, object := filepath.Join(dir, "f.c"), filepath.Join(dir, "f.so")
	if err := os.WriteFile(source, []byte("int f(int n) { char b[n]; return b[0]; }\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	run(f, dir, "gcc", "-shared", "-nostdlib", "-s", "-Wl,-z,noseparate-code", "-o", object, source)
	data, err := os.ReadFile(object)
	if err != nil {
		f.Fatal(err)
	}
	return append(out, data)
}

// FuzzFrames varies the sections alone, so that more of them is reached.
func FuzzFrames(f *testing.F) {
	eh, debug := frameBuilder{eh: true}, frameBuilder{wide: true}
	e := eh.cie(testCIE{augmentation: "zPLR", extra: []byte{0x9b, 1, 2, 3, 4, 0x1b}})
	eh.fde(e, absolute(0, 0x40), twoCode)
	eh.fde(e, absolute(0x30, 0x40), op(cfaRememberState), advance(1), op(cfaDefCFA, 6, 16), advance(1), op(cfaRestoreState))
	debug.fde(debug.cie(testCIE{version: 4}), absolute(0x20, 0x40), twoCode)
	f.Add(eh.data, debug.data, []byte{}, false)
	f.Add(eh.data, []byte{}, head(listed, 0x20), true)
	f.Fuzz(func(t *testing.T, eh, debug, head []byte, arm bool) {
		b := elfBuilder{eh: eh, debug: debug, head: head, noSections: len(head) > 0}
		if arm {
			b.machine = elf.EM_AARCH64
		}
		data := b.build()
		table, err := Compile(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		checkTable(t, table)
		if len(table.Rows) > 2*(len(eh)+len(debug)) {
			t.Fatalf("%d rows of %d bytes", len(table.Rows), len(eh)+len(debug))
		}
	})
}
