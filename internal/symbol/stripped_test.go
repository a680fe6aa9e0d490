// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"
)

// program is C code with functions that only .symtab names, and a call through the
// procedure linkage table.
const program = `
#include <stdio.h>
#include <stdlib.h>
static int __attribute__((noinline)) inner(int n) { puts("x"); return n + rand(); }
int __attribute__((noinline)) outer(int n) { return inner(n) * 2; }
int main(int argc, char **argv) { return outer(argc) + inner(7); }
`

// compileC returns the path of a program.
func compileC(t testing.TB, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "p.c"), []byte(program), 0o600))
	run(t, dir, "gcc", append([]string{"-g", "-O1", "-fno-ipa-ra", "-o", "p", "p.c"}, flags...)...)
	return filepath.Join(dir, "p")
}

// split moves what strip removes to p.debug, and leaves the link if link is set.
func split(t testing.TB, path string, link bool) (debug string) {
	t.Helper()
	debug = path + ".debug"
	run(t, "", "objcopy", "--only-keep-debug", path, debug)
	run(t, "", "strip", path)
	if link {
		run(t, "", "objcopy", "--add-gnu-debuglink="+debug, path)
	}
	return debug
}

// functionsOf returns the functions of a file that was not stripped.
func functionsOf(t testing.TB, path string) map[string]uint64 {
	out := map[string]uint64{}
	for _, s := range readelfSymbols(t, path) {
		out[s.name] = s.value
	}
	return out
}

// readWith reads a file whose separate debug files have to be at the given path.
func readWith(t testing.TB, path, debug string, asked *Separate) *File {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	f, err := Read(bytes.NewReader(data), int64(len(data)), Options{Native: true, Separate: func(s Separate) (io.ReaderAt, int64) {
		*asked = s
		content, err := os.ReadFile(debug)
		require.NoError(t, err)
		if !s.Is(bytes.NewReader(content), int64(len(content)), Checksum) {
			return nil, 0
		}
		return bytes.NewReader(content), int64(len(content))
	}})
	require.NoError(t, err)
	return f
}

func TestSeparateByBuildID(t *testing.T) {
	path := compileC(t, "-Wl,--build-id")
	want := functionsOf(t, path)
	debug := split(t, path, false)
	stripped := readPath(t, path)
	_, ok := stripped.Name(want["inner"])
	require.False(t, ok, "it is stripped, and what is near has no say")

	var asked Separate
	f := readWith(t, path, debug, &asked)
	for _, name := range []string{"inner", "outer", "main"} {
		got, _ := f.Name(want[name])
		assert.Equal(t, name, got)
	}
	assert.Equal(t, Separate{BuildID: f.GNUBuildID()}, asked)
	assert.Equal(t, []string{"/usr/lib/debug/.build-id/" + asked.BuildID[:2] + "/" + asked.BuildID[2:] + ".debug"},
		asked.Paths([]string{"/usr/lib/debug"}, path))

	// Another build has other functions at these addresses.
	other := compileC(t, "-Wl,--build-id", "-DOTHER")
	foreign := compileC(t, "-Wl,--build-id", "-O2")
	require.NotEqual(t, readPath(t, other).GNUBuildID(), "")
	_, ok = readWith(t, path, foreign, &asked).Name(want["inner"])
	assert.False(t, ok)
}

func TestSeparateByLink(t *testing.T) {
	path := compileC(t, "-Wl,--build-id=none")
	want := functionsOf(t, path)
	debug := split(t, path, true)
	var asked Separate
	f := readWith(t, path, debug, &asked)
	got, _ := f.Name(want["inner"])
	assert.Equal(t, "inner", got)
	content, err := os.ReadFile(debug)
	require.NoError(t, err)
	assert.Equal(t, Separate{Link: "p.debug", CRC: crc32.ChecksumIEEE(content)}, asked)
	assert.Equal(t, []string{"/d/bin/p.debug", "/bin/.debug/p.debug", "/bin/p.debug"}, asked.Paths([]string{"/d"}, "/bin/p"))

	// One byte differs, nothing that would be read.
	content[len(content)-1] ^= 1
	require.NoError(t, os.WriteFile(debug, content, 0o600))
	_, ok := readWith(t, path, debug, &asked).Name(want["inner"])
	assert.False(t, ok)
}

// A link is a name, not a way out of the debug directory.
func TestLinkWithPath(t *testing.T) {
	for link, want := range map[string]string{"ok.debug": "ok.debug", "../x": "", "..": "", "/etc/passwd": "", "": ""} {
		path := compileC(t, "-Wl,--build-id=none")
		section := binary.LittleEndian.AppendUint32(append([]byte(link), make([]byte, 4-len(link)%4)...), 7)
		require.NoError(t, os.WriteFile(path+".link", section, 0o600))
		run(t, "", "objcopy", "--add-section", ".gnu_debuglink="+path+".link", path)
		run(t, "", "strip", "--keep-section=.gnu_debuglink", path)
		debug := filepath.Join(t.TempDir(), "none")
		require.NoError(t, os.WriteFile(debug, nil, 0o600))
		var asked Separate
		readWith(t, path, debug, &asked)
		assert.Equal(t, want, asked.Link, "%q", link)
	}
}

func TestChecksumOfHugeFile(t *testing.T) {
	assert.False(t, Separate{Link: "x"}.Is(sparse{nil, 1 << 40}, 1<<40, Checksum))
	assert.False(t, Separate{BuildID: "aa"}.Is(sparse{nil, 1 << 40}, 1<<40, Checksum))
	_, err := Checksum(sparse{nil, 1 << 40}, 1<<40)
	assert.ErrorIs(t, err, ErrTooLarge)
	_, err = Checksum(bytes.NewReader([]byte("short")), 6)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestMiniDebugInfo(t *testing.T) {
	path := compileC(t)
	want := functionsOf(t, path)
	debug := split(t, path, false)
	run(t, "", "strip", "--strip-debug", debug)
	packed := pack(t, debug)
	require.NoError(t, os.WriteFile(path+".xz", packed, 0o600))
	run(t, "", "objcopy", "--add-section", ".gnu_debugdata="+path+".xz", path)
	f := readPath(t, path)
	for _, name := range []string{"inner", "outer", "main"} {
		got, _ := f.Name(want[name])
		assert.Equal(t, name, got)
	}
}

// pack compresses a file as xz does.
func pack(t testing.TB, path string) []byte {
	t.Helper()
	return []byte(run(t, "", "xz", "--stdout", "--threads=1", path))
}

func TestUnpack(t *testing.T) {
	text := bytes.Repeat([]byte("debug"), 10_000)
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	require.NoError(t, err)
	w.Write(text)
	w.Close()
	packed := out.Bytes()
	got, err := unpack(packed)
	require.NoError(t, err)
	assert.Equal(t, text, got)

	for n := range len(packed) / 2 {
		got, err := unpack(packed[:n])
		assert.True(t, err != nil || bytes.HasPrefix(text, got) && len(got) < len(text), "%d bytes", n)
	}
	at := bytes.IndexByte(packed, 0x21) + 2
	greedy := bytes.Clone(packed)
	greedy[at] = 40 // 4 GiB
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err = unpack(greedy)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	assert.Equal(t, text, got)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2*maxDebugData), "not what the header asks for")

	out.Reset()
	w, _ = xz.NewWriter(&out)
	for range maxDebugData>>20 + 1 {
		w.Write(make([]byte, 1<<20))
	}
	w.Close()
	_, err = unpack(out.Bytes())
	assert.ErrorIs(t, err, ErrTooLarge, "%d bytes that become more than allowed", out.Len())
}

var heading = regexp.MustCompile(`(?m)^([0-9a-f]+) <([^>+]+)@plt>:$`)

// TestStubs compares the entries of procedure linkage tables with what objdump calls
// them.
func TestStubs(t *testing.T) {
	for name, flags := range map[string][]string{
		"lazy": {"-Wl,-z,lazy"}, "now": {"-Wl,-z,now"}, "no plt": {"-fno-plt"}, "ibt": {"-fcf-protection=full", "-Wl,-z,ibt,-z,ibtplt"}, "fixed": {"-no-pie"},
	} {
		t.Run(name, func(t *testing.T) {
			path := compileC(t, flags...)
			checkStubs(t, path, name != "no plt")
		})
	}
	for _, path := range []string{"/bin/bash", libc(t)} {
		t.Run(filepath.Base(path), func(t *testing.T) { checkStubs(t, path, true) })
	}
}

func checkStubs(t *testing.T, path string, some bool) {
	f := readPath(t, path)
	found := heading.FindAllStringSubmatch(run(t, "", "objdump", "-d", path), -1)
	checked := 0
	for _, m := range found {
		if strings.Contains(m[2], "*ABS*") {
			continue // objdump does not say which function
		}
		addr, err := strconv.ParseUint(m[1], 16, 64)
		require.NoError(t, err)
		want, _, _ := strings.Cut(m[2], "@")
		got, _ := f.Name(addr + rand.Uint64N(8))
		require.Equal(t, want+"@plt", got, "%#x", addr)
		checked++
	}
	if some {
		require.NotZero(t, checked)
	}
}

// The C library chooses its own memory functions when it starts, and calls them so.
func TestStubsOfIFUNC(t *testing.T) {
	f := readPath(t, libc(t))
	names := map[string]bool{}
	for i := range f.functions.starts {
		name, _ := f.Name(f.functions.starts[i])
		names[name] = true
	}
	for _, name := range []string{"strlen@plt", "memcpy@plt"} {
		assert.True(t, names[name], name)
	}
}

// As GNU ld writes them for arm64: the entry that all share, one, and one with bti.
func TestStubsARM64(t *testing.T) {
	code := encode([]uint32{
		0xa9bf7bf0, 0xf0000090, 0xf947fe11, 0x913fe210, 0xd61f0220, 0xd503201f, 0xd503201f, 0xd503201f,
		0x90000090, 0xf9400211, 0x91000210, 0xd61f0220, // adrp x16, +0x10000; ldr x17, [x16]
		0xd503245f, 0xb0ffffb0, 0xf9400611, 0x91002210, 0xd61f0220, // bti c; adrp x16, -0xb000; ldr x17, [x16, #8]
	})
	got := appendStubsARM64(nil, 0x400400, code)
	require.Len(t, got, 3)
	assert.Equal(t, stub{extent{0x400404, 0x400414}, 0x413ff8}, got[0], "no relocation is for this one")
	assert.Equal(t, stub{extent{0x400420, 0x400430}, 0x410000}, got[1])
	assert.Equal(t, stub{extent{0x400430, 0x400444}, 0x3f5008}, got[2])
}

func FuzzUnpack(f *testing.F) {
	var out bytes.Buffer
	w, _ := xz.NewWriter(&out)
	w.Write(bytes.Repeat([]byte("debug"), 100))
	w.Close()
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := unpack(data); err == nil && len(got) > maxDebugData {
			t.Fatal(len(got))
		}
	})
}

func FuzzStubs(f *testing.F) {
	f.Add([]byte{0xff, 0x25, 1, 2, 3, 4}, uint64(1))
	f.Fuzz(func(t *testing.T, code []byte, addr uint64) {
		for _, s := range appendStubsARM64(nil, addr, code) {
			if s.end-s.start > 20 {
				t.Fatal(s)
			}
		}
	})
}

func FuzzDebugLink(f *testing.F) {
	f.Add([]byte("p.debug\x00\x01\x02\x03\x04"))
	f.Add([]byte("../x\x00\x00\x00\x00\x01\x02\x03\x04"))
	f.Fuzz(func(t *testing.T, link []byte) {
		name, _, ok := parseLink(link)
		if ok && (name == "" || strings.Contains(name, "/") || name == "." || name == ".." || len(name) > len(link)) {
			t.Fatalf("%q of %q", name, link)
		}
	})
}
