// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package threadlocal_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
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

// counting counts the bytes that are read of a file.
type counting struct {
	io.ReaderAt
	read int
}

func (c *counting) ReadAt(b []byte, at int64) (int, error) {
	c.read += len(b)
	return c.ReaderAt.ReadAt(b, at)
}

// A file may have as many tables as it likes; what is read of all of them is bounded.
func TestManyTables(t *testing.T) {
	const mega, tables = 1 << 20, 50
	image := make([]byte, 21*mega)
	le := binary.LittleEndian
	copy(image, elf.ELFMAG+"\x02\x01\x01")
	le.PutUint16(image[16:], uint16(elf.ET_DYN))
	le.PutUint16(image[18:], uint16(elf.EM_X86_64))
	le.PutUint64(image[32:], 64)  // program headers
	le.PutUint64(image[40:], 512) // section headers
	le.PutUint16(image[54:], 56)
	le.PutUint16(image[56:], 1)
	le.PutUint16(image[58:], 64)
	le.PutUint16(image[60:], 3+tables)
	le.PutUint32(image[64:], uint32(elf.PT_TLS))
	section := func(i int, kind elf.SectionType, offset, size uint64, link uint32) {
		b := image[512+64*i:]
		le.PutUint32(b[4:], uint32(kind))
		le.PutUint64(b[24:], offset)
		le.PutUint64(b[32:], size)
		le.PutUint32(b[40:], link)
	}
	section(1, elf.SHT_DYNSYM, 8192, 48, 2)
	section(2, elf.SHT_STRTAB, 8300, 3, 0)
	for i := range tables {
		section(3+i, elf.SHT_RELA, mega, 20*mega, 1)
	}
	copy(image[8301:], "v")
	symbol := image[8192+24:]
	symbol[0], symbol[4], symbol[6], symbol[16] = 1, byte(elf.STT_TLS), 1, 8

	c := &counting{ReaderAt: bytes.NewReader(image)}
	f, err := elffile.Open(c, int64(len(image)))
	require.NoError(t, err)
	sections, err := f.Sections()
	require.NoError(t, err)
	_, err = threadlocal.Find(f, sections, "v")
	require.ErrorIs(t, err, elffile.ErrTooLarge)
	require.Greater(t, c.read, 60*mega)
	require.Less(t, c.read, 65*mega)
}
