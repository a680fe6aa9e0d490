// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package threadlocal_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/threadlocal"
)

// FuzzFind damages libraries and programs, and has the memory of their process say anything.
// What is found lies where blocks of threads can be.
func FuzzFind(f *testing.F) {
	f.Add([]byte{}, uint64(0), uint64(0))
	dir := f.TempDir()
	source, object := filepath.Join(dir, "f.c"), filepath.Join(dir, "f.so")
	if err := os.WriteFile(source, []byte("__thread void *v; void **f(void) { return &v; }\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	if _, err := exec.LookPath("gcc"); err == nil {
		for _, model := range []string{"-mtls-dialect=gnu", "-mtls-dialect=gnu2", "-ftls-model=initial-exec"} {
			out, err := exec.Command("gcc", "-shared", "-fPIC", "-nostdlib", "-s", "-Wl,-z,noseparate-code", model, "-o", object, source).CombinedOutput()
			if err != nil {
				f.Logf("%s: %s", model, out) // dialects are those of amd64
				continue
			}
			data, err := os.ReadFile(object)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, uint64(3), uint64(1<<64-64))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, first, second uint64) {
		file, err := elffile.Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		sections, err := file.Sections()
		if err != nil {
			return
		}
		v, err := threadlocal.Find(file, sections, "v")
		if err != nil && v.Known() {
			t.Fatal(v, err)
		}
		if !v.Known() {
			return
		}
		place, err := v.Locate(1<<40, false, func(b []byte, _ uint64) error {
			words := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, first), second)
			copy(b, words)
			return nil
		})
		if place.Known() != (err == nil) || place.Static && place.Module != 0 {
			t.Fatal(place, err)
		}
	})
}
