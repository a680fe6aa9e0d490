// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func readPerfMap(t require.TestingT, text string) *PerfMap {
	m, err := ReadPerfMap(strings.NewReader(text))
	require.NoError(t, err)
	return m
}

func TestPerfMap(t *testing.T) {
	m := readPerfMap(t, "1000 10 LazyCompile:~add /app/x.js:3\n0x2000 0x8 py::f:/a b.py\n2008 8 Aa\n"+
		"nonsense\n3000 zz x\n4000 0 empty\n5000 10 \nffffffffffffffff 2 wraps\n6000 10 unfinished")
	for addr, want := range map[uint64]string{
		0xfff: "", 0x1000: "LazyCompile:~add /app/x.js:3", 0x100f: "LazyCompile:~add /app/x.js:3", 0x1010: "",
		0x2007: "py::f:/a b.py", 0x2008: "Aa", 0x3000: "", 0x4000: "", 0x5000: "", 0x6000: "", 1<<64 - 1: "",
	} {
		got, ok := m.Name(addr)
		require.Equal(t, want, got, "%#x", addr)
		require.Equal(t, want != "", ok)
	}
	require.Positive(t, m.Bytes())
	_, ok := readPerfMap(t, "").Name(0)
	require.False(t, ok)
}

// What is written later holds, as by a list that is searched from the end.
func TestPerfMapLaterLinesHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type line struct{ start, size uint64 }
		lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) line {
			return line{rapid.Uint64Range(0, 60).Draw(t, "start"), rapid.Uint64Range(1, 30).Draw(t, "size")}
		}), 0, 30).Draw(t, "lines")
		var text strings.Builder
		for i, l := range lines {
			fmt.Fprintf(&text, "%X %x f%d\n", l.start, l.size, i)
		}
		m := readPerfMap(t, text.String())
		for addr := range uint64(100) {
			want := ""
			for i, l := range lines {
				if l.start <= addr && addr < l.start+l.size {
					want = fmt.Sprint("f", i)
				}
			}
			got, _ := m.Name(addr)
			require.Equal(t, want, got)
		}
	})
}

func TestPerfMapIsBounded(t *testing.T) {
	long := strings.Repeat("x", 3*maxPerfMapLine)
	m := readPerfMap(t, "1000 10 "+long+"\n2000 10 short\n")
	_, ok := m.Name(0x1000)
	require.False(t, ok, "a line that is too long is left out")
	name, _ := m.Name(0x2000)
	require.Equal(t, "short", name)
	many := bytes.Repeat([]byte("1 1 f\n"), maxPerfMapLines+1)
	m, err := ReadPerfMap(bytes.NewReader(many))
	require.ErrorIs(t, err, ErrTooLarge)
	name, _ = m.Name(1)
	require.Equal(t, "f", name)
}

// A sparse file of a terabyte, and one of lines that are nothing.
func TestPerfMapOfATerabyte(t *testing.T) {
	for name, r := range map[string]io.Reader{"zeros": endless(0), "empty lines": endless('\n'), "nonsense": endless('x')} {
		began := time.Now()
		m, err := ReadPerfMap(io.MultiReader(strings.NewReader("1000 10 first\n"), io.LimitReader(r, 1<<40)))
		require.ErrorIs(t, err, ErrTooLarge, name)
		got, _ := m.Name(0x1000)
		require.Equal(t, "first", got, name)
		require.Less(t, time.Since(began), 30*time.Second, name)
	}
}

// endless is a file of one character.
type endless byte

func (e endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(e)
	}
	return len(b), nil
}

func FuzzPerfMap(f *testing.F) {
	f.Add("1000 10 f\n1008 10 g\n", uint64(0x1008))
	f.Fuzz(func(t *testing.T, text string, addr uint64) {
		m, err := ReadPerfMap(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := m.Name(addr); ok && !strings.Contains(text, name) {
			t.Fatalf("%q is not in the map", name)
		}
	})
}
