// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package threadlocal_test

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/threadlocal"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

func find(t *testing.T, path, name string) threadlocal.Variable {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(t, err)
	f, err := elffile.Open(file, info.Size())
	require.NoError(t, err)
	sections, err := f.Sections()
	require.NoError(t, err)
	v, err := threadlocal.Find(f, sections, name)
	require.NoError(t, err)
	return v
}

var errFault = errors.New("fault")

// memory reads two words at any address, the second at the first's if that is one.
type memory map[uint64]uint64

func (m memory) read(b []byte, address uint64) error {
	for i := range b {
		word, ok := m[(address+uint64(i))&^7]
		if !ok {
			return errFault
		}
		b[i] = byte(word >> ((address + uint64(i)) % 8 * 8))
	}
	return nil
}

// everywhere is memory that holds two words again and again, and two others at an address.
func everywhere(first, second, address, third, fourth uint64) func([]byte, uint64) error {
	return func(b []byte, at uint64) error {
		m := memory{at &^ 7: first, at&^7 + 8: second}
		if at == address {
			m = memory{at: third, at + 8: fourth}
		}
		return m.read(b, at)
	}
}

// TestFind: what compilers and linkers make is found, in programs at once, and in libraries
// by what the dynamic linker writes.
func TestFind(t *testing.T) {
	static, above := uint64(1<<64-64), uint64(64)
	wantStatic := threadlocal.Place{Static: true, Offset: -64}
	if runtime.GOARCH == "arm64" {
		static, above = above, static
		wantStatic.Offset = 64
	}
	const descriptor = 0x7f0000001000
	seen := map[string]bool{}
	for _, p := range workloads.BuildSpans(t) {
		path := p.Program
		if p.Library != "" {
			path = p.Library
		}
		v := find(t, path, "otel_thread_ctx_v1")
		require.False(t, find(t, path, "otel_thread_ctx").Known(), "the begin of a name")
		switch p.Name {
		case "pie", "nopie", "static_pie":
			require.True(t, v.Fixed(), p.Name)
			place, err := v.Locate(0, false, nil)
			require.NoError(t, err)
			require.True(t, place.Static)
			require.Equal(t, runtime.GOARCH == "arm64", place.Offset > 0)
		case "loaded_gnu":
			place, err := v.Locate(0x1000, true, everywhere(3, 0, 0, 0, 0))
			require.NoError(t, err)
			require.Equal(t, threadlocal.Place{Module: 3, Offset: place.Offset, Musl: true}, place)
			for _, module := range []uint64{0, 1 << 16} {
				_, err = v.Locate(0x1000, true, everywhere(module, 0, 0, 0, 0))
				require.ErrorIs(t, err, threadlocal.ErrUnresolved)
			}
		case "loaded_descriptor":
			place, err := v.Locate(0, false, everywhere(1, static, 0, 0, 0))
			require.NoError(t, err)
			require.Equal(t, wantStatic, place)
			place, err = v.Locate(0, false, everywhere(1, descriptor, descriptor, 5, 24))
			require.NoError(t, err)
			require.Equal(t, threadlocal.Place{Module: 5, Offset: 24}, place)
			for _, argument := range []uint64{0, above} {
				_, err = v.Locate(0, false, everywhere(1, argument, descriptor, 5, 24))
				require.ErrorIs(t, err, threadlocal.ErrUnresolved)
			}
		default:
			continue
		}
		seen[p.Name] = true
		if !v.Fixed() {
			_, err := v.Locate(0, false, memory{}.read)
			require.ErrorIs(t, err, errFault)
		}
	}
	require.Len(t, seen, 5)
}
