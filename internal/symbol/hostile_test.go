// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"runtime"
	"strings"
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

// withStubs appends to a file a procedure linkage table at codeAddress, and relocations about
// the dynamic symbols of the given numbers, one for each of its entries.
func withStubs(data []byte, symbols []uint32) []byte {
	const first, size = 0x900000, 8 // slots, and entries
	le := binary.LittleEndian
	var code, relocations []byte
	for i, symbol := range symbols {
		slot := uint64(first + 8*i)
		next := codeAddress + uint64(size*i) + 6
		code = append(le.AppendUint32(append(code, 0xff, 0x25), uint32(slot-next)), 0, 0)
		relocations = append(relocations, encode(elf.Rela64{Off: slot, Info: uint64(symbol)<<32 | uint64(elf.R_X86_64_JMP_SLOT)})...)
	}
	shoff, count := le.Uint64(data[40:]), uint64(le.Uint16(data[60:]))
	headers := bytes.Clone(data[shoff:][:count*sectionSize])
	add := func(name uint32, s elf.Section64, content []byte) {
		s.Name, s.Off, s.Size = name, uint64(len(data)), uint64(len(content))
		data = append(data, content...)
		headers = append(headers, encode(s)...)
	}
	add(1, elf.Section64{Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR), Addr: codeAddress, Entsize: size}, code)
	add(0, elf.Section64{Type: uint32(elf.SHT_RELA), Flags: uint64(elf.SHF_ALLOC), Link: secDynsym, Entsize: relocationSize}, relocations)
	add(0, elf.Section64{Type: uint32(elf.SHT_STRTAB)}, []byte("\x00.plt\x00"))
	le.PutUint64(data[40:], uint64(len(data)))
	le.PutUint16(data[60:], uint16(count+3))
	le.PutUint16(data[62:], uint16(count+2)) // the last one has the names of sections
	return append(data, headers...)
}

// TestStubsOfOneSymbol: a name is kept once, however many entries of procedure linkage tables
// are about it.
func TestStubsOfOneSymbol(t *testing.T) {
	long := strings.Repeat("n", maxName-len(stubSuffix)-4)
	b := elfBuilder{dynsym: []testSymbol{{name: long, kind: elf.STT_FUNC, undefined: true}},
		segments: func(s []elf.Prog64) { s[1].Filesz, s[1].Memsz = 1<<20, 1<<20 }}
	symbols := make([]uint32, maxStubs)
	for i := range symbols {
		symbols[i] = 1
	}
	data := withStubs(b.build(), symbols)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := Read(bytes.NewReader(data), int64(len(data)), everything)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Equal(t, maxStubs, f.Functions())
	for _, i := range []uint64{0, 1, maxStubs - 1} {
		name, _ := f.Name(codeAddress + 8*i)
		require.Equal(t, long+stubSuffix, name)
	}
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256<<20))
	require.Less(t, f.Bytes(), 4<<20)
}

// TestStubsOfOverlappingNames: names of as many functions, which overlap in the file, would fill
// our memory.
func TestStubsOfOverlappingNames(t *testing.T) {
	const length, count = 8000, 4000
	imports := []testSymbol{{name: strings.Repeat("n", length), kind: elf.STT_FUNC, undefined: true}}
	symbols := []uint32{1}
	for i := uint32(2); i <= count; i++ {
		imports = append(imports, testSymbol{kind: elf.STT_FUNC, undefined: true})
		symbols = append(symbols, i)
	}
	data := elfBuilder{dynsym: imports, segments: func(s []elf.Prog64) { s[1].Filesz, s[1].Memsz = 1<<20, 1<<20 }}.build()
	table := data[binary.LittleEndian.Uint64(data[binary.LittleEndian.Uint64(data[40:])+secDynsym*sectionSize+24:]):]
	for i := range count { // each name is the one before without its first byte
		binary.LittleEndian.PutUint32(table[(i+1)*symbolSize:], uint32(1+i))
	}
	data = withStubs(data, symbols)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := Read(bytes.NewReader(data), int64(len(data)), everything)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, ErrTooLarge)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(128<<20))
	require.Less(t, f.Bytes(), 2*maxStubText)
}
