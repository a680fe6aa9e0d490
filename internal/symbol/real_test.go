// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bufio"
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/gosymbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// tool returns the path of a program that the test needs. CI has all of them.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		roottest.Lacks(t, name+" is not installed")
	}
	return path
}

// libc is a large real library without .symtab.
func libc(t testing.TB) string {
	t.Helper()
	for _, pattern := range []string{"/lib/*-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	roottest.Lacks(t, "no GNU C library")
	return ""
}

func readPath(t testing.TB, path string) *File {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	f, err := Read(bytes.NewReader(data), int64(len(data)), everything)
	require.NoError(t, err)
	return f
}

func run(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool(t, name), args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return string(out)
}

// readelfSymbols is what readelf says: the sized functions of a file.
func readelfSymbols(t testing.TB, path string) []testSymbol {
	t.Helper()
	var out []testSymbol
	lines := bufio.NewScanner(strings.NewReader(run(t, "", "readelf", "-W", "-s", "--dyn-syms", path)))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		w := strings.Fields(lines.Text()) // Num: Value Size Type Bind Vis Ndx Name
		if len(w) < 8 || w[3] != "FUNC" && w[3] != "IFUNC" || w[6] == "UND" || w[2] == "0" {
			continue
		}
		value, err := strconv.ParseUint(w[1], 16, 64)
		require.NoError(t, err)
		size, err := strconv.ParseUint(w[2], 0, 64)
		require.NoError(t, err)
		bind, ok := map[string]elf.SymBind{"GLOBAL": elf.STB_GLOBAL, "UNIQUE": elf.STB_GLOBAL, "WEAK": elf.STB_WEAK}[w[4]]
		if !ok {
			bind = elf.STB_LOCAL
		}
		name := strings.Join(w[7:], " ")
		if i := strings.IndexByte(name, '@'); i > 0 && !strings.ContainsAny(name, " \"") {
			name = name[:i]
		}
		out = append(out, testSymbol{name: name, value: value, size: size, bind: bind, kind: elf.STT_FUNC})
	}
	require.NotEmpty(t, out)
	return out
}

// checkNames compares every name with readelf's: at its start an address has a
// name of the best binding there, and elsewhere the name of a symbol around it.
func checkNames(t *testing.T, path string) {
	f, symbols := readPath(t, path), readelfSymbols(t, path)
	best := make(map[uint64]elf.SymBind)
	order := map[elf.SymBind]int{elf.STB_GLOBAL: 0, elf.STB_LOCAL: 1, elf.STB_WEAK: 2}
	names := make(map[string][]testSymbol)
	for _, s := range symbols {
		if b, ok := best[s.value]; !ok || order[s.bind] < order[b] {
			best[s.value] = s.bind
		}
		name := strings.TrimSuffix(s.name, ".abi0") // of Go's symbols, not of its functions
		names[name] = append(names[name], s)
	}
	for _, s := range symbols {
		for _, addr := range []uint64{s.value, s.value + s.size/2, s.value + s.size - 1} {
			name, ok := nameOf(f, addr)
			if !ok {
				t.Fatalf("%s at %#x has no name", s.name, addr)
			}
			right := false
			for _, c := range names[name] {
				right = right || addr >= c.value && addr-c.value < c.size &&
					(addr != s.value || c.value == addr && c.bind == best[addr])
			}
			if !right {
				t.Errorf("%#x in %s is named %s", addr, s.name, name)
			}
		}
	}
	t.Logf("%s: %d symbols, %d ranges, %d bytes", path, len(symbols), f.Functions(), f.Bytes())
}

// nameOf is the name of the function whose code was laid out at addr.
func nameOf(f *File, addr uint64) (string, bool) {
	if frames := f.Frames(addr, nil, nil); len(frames) > 0 {
		// The compiler's own middle dot is a dot among symbols.
		return strings.ReplaceAll(frames[len(frames)-1].Function, "·", "."), true
	}
	return f.Name(addr)
}

// readelfNote is the build ID that readelf prints.
func readelfNote(t testing.TB, path string) string {
	for line := range strings.Lines(run(t, "", "readelf", "-n", path)) {
		if _, id, ok := strings.Cut(line, "Build ID: "); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}

func TestLibc(t *testing.T) {
	path := libc(t)
	checkNames(t, path)
	assert.Equal(t, readelfNote(t, path), readPath(t, path).GNUBuildID())
}

func TestGoProgram(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(`package main

import "fmt"

//go:noinline
func burn(n int) int { return n * n }

func main() { fmt.Println(burn(7)) }
`), 0o600))
	path := filepath.Join(dir, "prog")
	run(t, dir, "go", "build", "-o", path, "main.go")
	checkNames(t, path)
	f := readPath(t, path)
	assert.Equal(t, strings.TrimSpace(run(t, dir, "go", "tool", "buildid", path)), f.GoBuildID())
	assert.Equal(t, readelfNote(t, path), f.GNUBuildID())
	for _, s := range readelfSymbols(t, path) {
		if s.name == "main.burn" {
			name, _ := nameOf(f, s.value+s.size-1)
			assert.Equal(t, "main.burn", name)
			assert.Equal(t, []Frame{{"main.burn", filepath.Join(dir, "main.go"), 6}}, framesOf(t, path, f, s.value))
			return
		}
	}
	t.Fatal("no main.burn")
}

// A version of Go that is not known yet: its symbols name it, and the error says so.
func TestGoOfTheFuture(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { println() }\n"), 0o600))
	path := filepath.Join(dir, "prog")
	run(t, dir, "go", "build", "-o", path, "main.go")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	f, err := elf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	data[f.Section(".gopclntab").Offset]++ // the number of its version
	symbols, err := f.Symbols()
	require.NoError(t, err)

	got, err := Read(bytes.NewReader(data), int64(len(data)), everything)
	require.ErrorIs(t, err, gosymbol.ErrVersion)
	assert.Nil(t, got.Index())
	for _, s := range symbols {
		if s.Name == "main.main" {
			name, _ := got.Name(s.Value)
			assert.Equal(t, "main.main", name)
			return
		}
	}
	t.Fatal("no main.main")
}

// framesOf returns the frames of an address of a Go program, lines and all.
func framesOf(t *testing.T, path string, f *File, addr uint64) []Frame {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotNil(t, f.Index())
	n, ok := f.Index().Unit(addr)
	require.True(t, ok)
	units, err := ReadUnits(bytes.NewReader(data), int64(len(data)), everything, f.Index(), []uint32{n})
	require.NoError(t, err)
	return f.Frames(addr, units[0], nil)
}

const cSource = `
__attribute__((noinline, visibility("default"))) int exported(int n) { return n * 3; }
__attribute__((noinline)) static int hidden(int n) { return n + exported(n); }
__attribute__((weak)) int weakling(int n) { return hidden(n); }
int main(int argc, char **argv) { return weakling(argc); }
`

func TestCProgram(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "main.c")
	require.NoError(t, os.WriteFile(src, []byte(cSource), 0o600))
	for name, flags := range map[string][]string{
		"pie":     {"-O1", "-pie", "-fPIE"},
		"no-pie":  {"-O1", "-no-pie", "-Wl,--build-id=sha1"},
		"static":  {"-O1", "-static"},
		"library": {"-O1", "-shared", "-fPIC"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			run(t, dir, "gcc", append(flags, "-o", path, src)...)
			checkNames(t, path)
			assert.Equal(t, readelfNote(t, path), readPath(t, path).GNUBuildID())
			full := readPath(t, path)
			run(t, dir, "strip", path)
			stripped := readPath(t, path)
			assert.Equal(t, full.GNUBuildID(), stripped.GNUBuildID())
			assert.NotEqual(t, full.HTLHash(), stripped.HTLHash())
			assert.LessOrEqual(t, stripped.Functions(), full.Functions())
		})
	}
}

// A file offset leads to the address that readelf shows for the function there.
func TestAddressOfRealFile(t *testing.T) {
	path := libc(t)
	f := readPath(t, path)
	ef, err := elf.Open(path)
	require.NoError(t, err)
	defer ef.Close()
	for _, s := range readelfSymbols(t, path) {
		for _, p := range ef.Progs {
			if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && s.value >= p.Vaddr && s.value < p.Vaddr+p.Filesz {
				addr, seg, ok := f.Address(s.value - p.Vaddr + p.Off)
				require.True(t, ok)
				require.Equal(t, s.value, addr)
				require.Equal(t, Segment{p.Vaddr, p.Filesz, p.Off}, seg)
			}
		}
	}
}
