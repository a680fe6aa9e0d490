// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// readAll reads a file and all its debug information, as far as it can be, and holds what
// must be true of it, whatever it says of itself.
func readAll(t *testing.T, data []byte, size int64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	file := sparse{data, size}
	f, _ := Read(file, size, everything)
	require.NotNil(t, f)
	checkTable(t, f)
	if x, _ := ReadIndex(file, size, everything); x.Units() > 0 {
		require.Less(t, x.Bytes(), 64*len(data)+4096)
		numbers := make([]uint32, min(x.Units(), 8))
		for i := range numbers {
			numbers[i] = uint32(i)
		}
		units, _ := ReadUnits(file, size, everything, x, numbers)
		for _, u := range units {
			if u != nil {
				f.Frames(f.Segments()[0].Address, u, nil)
				require.Less(t, u.Bytes(), 64*len(data)+4096)
			}
		}
	}
	require.Less(t, time.Since(began), 20*time.Second)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<30))
	require.Less(t, f.Bytes(), 64*len(data)+4096)
}

// TestHostileCorpus damages a program with debug information in all the ways that a file
// can lie about what is where.
func TestHostileCorpus(t *testing.T) {
	for name, flags := range map[string][]string{"plain": nil, "compressed": {"-gz"}} {
		t.Run(name, func(t *testing.T) { checkHostile(t, compileC(t, flags...)) })
	}
}

func checkHostile(t *testing.T, path string) {
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	le := binary.LittleEndian
	shoff, shnum := le.Uint64(whole[40:]), int(le.Uint16(whole[60:]))

	t.Run("cut", func(t *testing.T) {
		for at := 0; at < len(whole); at += max(1, len(whole)/100) {
			readAll(t, whole[:at], int64(at))
			readAll(t, whole[:at], int64(len(whole))) // the rest is zeros
		}
	})
	for name, lie := range map[string]uint64{"nothing": 0, "one": 1, "4 GiB": 1 << 32, "half a terabyte": 1 << 39, "everything": 1<<64 - 1} {
		t.Run("sections of "+name, func(t *testing.T) {
			for i := range shnum {
				for _, field := range []uint64{24, 32, 40, 56} { // offset, size, link and entry size
					data := bytes.Clone(whole)
					le.PutUint64(data[shoff+uint64(64*i)+field:], lie)
					readAll(t, data, 1<<40)
				}
			}
		})
	}
	t.Run("compressed sections of", func(t *testing.T) {
		for i := range shnum {
			header := shoff + uint64(64*i)
			if at := le.Uint64(whole[header+24:]); le.Uint64(whole[header+8:])&0x800 != 0 { // SHF_COMPRESSED
				for _, lie := range []uint64{0, 1, 1 << 20, 1 << 39, 1<<64 - 1} {
					data := bytes.Clone(whole)
					le.PutUint64(data[at+8:], lie)
					readAll(t, data, int64(len(data)))
				}
			}
		}
	})
	t.Run("all sections in one place", func(t *testing.T) {
		for i := 1; i < shnum; i++ {
			data := bytes.Clone(whole)
			for k := 1; k < shnum; k++ {
				copy(data[shoff+uint64(64*k)+24:][:16], whole[shoff+uint64(64*i)+24:][:16])
			}
			readAll(t, data, int64(len(data)))
		}
	})
}
