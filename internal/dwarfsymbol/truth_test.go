// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ianlancetaylor/demangle"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// program is a file with debug information.
type program struct {
	path  string
	open  Opener
	debug *Debug
	index *Index
}

func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil {
		roottest.Lacks(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &out
	require.NoError(t, cmd.Run(), out.String())
}

// openIn opens other files below a directory.
func openIn(dir string) Opener {
	return func(o Other) (io.ReaderAt, int64) {
		at := o.Path
		if o.Package {
			at = "truth.dwp"
		}
		if !filepath.IsAbs(at) {
			at = filepath.Join(dir, at)
		}
		data, err := os.ReadFile(at)
		if err != nil {
			return nil, 0
		}
		return bytes.NewReader(data), int64(len(data))
	}
}

func load(t testing.TB, file string, open Opener) *program {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	img, sections, err := openELF(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	p := &program{path: file, open: open}
	p.debug, err = Open(img, sections, open)
	require.NoError(t, err)
	p.index, err = p.debug.Index()
	require.NoError(t, err)
	require.Zero(t, p.index.Damaged)
	return p
}

func (p *program) frames(t testing.TB, addr uint64) []Frame {
	t.Helper()
	n, ok := p.index.Unit(addr)
	require.True(t, ok, "%#x", addr)
	u, err := p.debug.Unit(p.index, n)
	require.NoError(t, err)
	return u.Frames(addr, nil)
}

// mark is the address of a symbol.
func mark(t testing.TB, file, name string) uint64 {
	t.Helper()
	f, err := elf.Open(file)
	require.NoError(t, err)
	defer f.Close()
	symbols, err := f.Symbols()
	require.NoError(t, err)
	for _, s := range symbols {
		if s.Name == name {
			return s.Value
		}
	}
	t.Fatal("no symbol " + name)
	return 0
}

// lineOf is the number of the line that ends in a comment.
func lineOf(t testing.TB, source, comment string) int {
	t.Helper()
	text, err := os.ReadFile(source)
	require.NoError(t, err)
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasSuffix(line, "// "+comment) {
			return i + 1
		}
	}
	t.Fatal("no line " + comment)
	return 0
}

// TestGroundTruth compares every frame with the source.
func TestGroundTruth(t *testing.T) {
	type c struct {
		source string
		args   []string
		after  []string
	}
	cases := map[string]c{
		"rust": {source: "truth.rs", args: []string{"rustc", "-O", "-g"}},
		"dwz":  {source: "truth.c", args: []string{"gcc", "-O2", "-g"}, after: []string{"dwz", "truth"}},
		// Tables that others look addresses and names up in are not used.
		"without .debug_aranges": {source: "truth.c", args: []string{"gcc", "-O2", "-g"}, after: []string{"objcopy", "-R", ".debug_aranges", "truth"}},
		"with .debug_names":      {source: "truth.c", args: []string{"clang-19", "-O2", "-g", "-gpubnames"}},
	}
	for _, compiler := range []string{"g++", "clang++-19"} {
		for _, version := range []string{"-gdwarf-4", "-gdwarf-5"} {
			args := []string{compiler, "-O2", "-g", version, "-fdebug-types-section"}
			cases[compiler+" types "+version] = c{source: "truth_types.cc", args: args}
			cases[compiler+" types split "+version] = c{source: "truth_types.cc", args: append(args[:len(args):len(args)], "-gsplit-dwarf")}
		}
	}
	for _, compiler := range []string{"gcc", "g++", "clang-19", "clang++-19"} {
		for _, version := range []string{"-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5"} {
			cases[compiler+" "+version] = c{source: "truth.c", args: []string{compiler, "-O2", "-g", version}}
			if version == "-gdwarf-2" {
				continue // there is no 64-bit form of it
			}
			cases[compiler+" 64-bit "+version] = c{source: "truth.c", args: []string{compiler, "-O2", "-g", "-gdwarf64", version}}
		}
		for _, version := range []string{"-gdwarf-4", "-gdwarf-5"} {
			args := []string{compiler, "-O2", "-g", "-gsplit-dwarf", version}
			cases[compiler+" split "+version] = c{source: "truth.c", args: args}
			if strings.HasPrefix(compiler, "clang") || version == "-gdwarf-4" { // the tool does not return with the others
				cases[compiler+" package "+version] = c{source: "truth.c", args: args, after: []string{"llvm-dwp-19", "-e", "truth", "-o", "truth.dwp"}}
			}
		}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			source, err := filepath.Abs("testdata/" + c.source)
			require.NoError(t, err)
			run(t, dir, append(c.args, "-o", "truth", source)...)
			if c.after != nil {
				run(t, dir, c.after...)
			}
			if strings.Contains(name, "package") {
				removeAll(t, dir, "*.dwo")
			}
			checkTruth(t, load(t, filepath.Join(dir, "truth"), openIn(dir)), source)
		})
	}
}

func removeAll(t *testing.T, dir, pattern string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	for _, f := range found {
		require.NoError(t, os.Remove(f))
	}
}

func checkTruth(t *testing.T, p *program, source string) {
	t.Helper()
	at := func(function, comment string) string {
		return fmt.Sprintf("%s %s:%d", function, source, lineOf(t, source, comment))
	}
	for symbol, want := range map[string][]string{
		"in_leaf":   {at("leaf", "leaf"), at("middle", "middle calls leaf"), at("outer", "outer calls middle")},
		"in_middle": {at("middle", "middle"), at("outer", "outer calls middle")},
		"in_outer":  {at("outer", "outer")},
	} {
		var got []string
		for _, f := range p.frames(t, mark(t, p.path, symbol)) {
			name := demangle.Filter(f.Function, demangle.NoParams, demangle.NoTemplateParams)
			name = name[strings.LastIndex(name, "::")+1:]
			got = append(got, fmt.Sprintf("%s %s:%d", strings.TrimPrefix(name, ":"), f.File, f.Line))
		}
		assert.Equal(t, want, got, symbol)
	}
}

// TestTypesHaveUnitsOfTheirOwn, where the compiler is told so.
func TestTypesHaveUnitsOfTheirOwn(t *testing.T) {
	source, err := filepath.Abs("testdata/truth_types.cc")
	require.NoError(t, err)
	for _, compiler := range []string{"g++", "clang++-19"} {
		dir := t.TempDir()
		run(t, dir, compiler, "-O2", "-g", "-gdwarf-4", "-fdebug-types-section", "-o", "four", source)
		f, err := elf.Open(filepath.Join(dir, "four"))
		require.NoError(t, err)
		assert.NotNil(t, f.Section(".debug_types"), compiler)
		require.NoError(t, f.Close())

		run(t, dir, compiler, "-O2", "-g", "-gdwarf-5", "-fdebug-types-section", "-o", "five", source)
		p := load(t, filepath.Join(dir, "five"), nil)
		types := 0
		for _, off := range p.index.offsets {
			u, err := p.debug.readUnit(p.debug.sections, off, nil)
			require.NoError(t, err)
			if u.kind == unitType {
				types++
			}
		}
		assert.Positive(t, types, compiler)
	}
}

// TestSupplementaryFile: what programs have in common is in another file, referred to in the
// ways of GNU and of DWARF 5.
func TestSupplementaryFile(t *testing.T) {
	for name, c := range map[string]struct {
		version, link string
		flags         []string
	}{
		"DWARF 4":               {"-gdwarf-4", ".gnu_debugaltlink", nil},
		"DWARF 5":               {"-gdwarf-5", ".gnu_debugaltlink", nil},
		"DWARF 5, its own form": {"-gdwarf-5", ".debug_sup", []string{"--dwarf-5"}},
	} {
		t.Run(name, func(t *testing.T) { checkSupplement(t, c.version, c.link, c.flags...) })
	}
}

func checkSupplement(t *testing.T, version, link string, flags ...string) {
	dir := t.TempDir()
	source, err := filepath.Abs("testdata/truth.c")
	require.NoError(t, err)
	for _, name := range []string{"truth", "second"} {
		run(t, dir, "gcc", "-O2", "-g", version, "-o", name, source)
	}
	run(t, dir, append(append([]string{"dwz"}, flags...), "-m", "common", "-M", "common", "truth", "second")...)
	f, err := elf.Open(filepath.Join(dir, "truth"))
	require.NoError(t, err)
	require.NotNil(t, f.Section(link))
	require.NoError(t, f.Close())
	checkTruth(t, load(t, filepath.Join(dir, "truth"), openIn(dir)), source)

	alone := load(t, filepath.Join(dir, "truth"), nil)
	n, _ := alone.index.Unit(mark(t, alone.path, "in_leaf"))
	u, err := alone.debug.Unit(alone.index, n)
	require.ErrorIs(t, err, ErrElsewhere)
	if u != nil { // lines are not shared
		assert.Equal(t, []Frame{{File: source, Line: lineOf(t, source, "leaf")}}, u.Frames(mark(t, alone.path, "in_leaf"), nil))
	}
}

// TestSplitFileIsMissing: lines are in the program, functions are not.
func TestSplitFileIsMissing(t *testing.T) {
	dir := t.TempDir()
	source, err := filepath.Abs("testdata/truth.c")
	require.NoError(t, err)
	run(t, dir, "gcc", "-O2", "-g", "-gsplit-dwarf", "-o", "truth", source)
	p := load(t, filepath.Join(dir, "truth"), nil)
	addr := mark(t, p.path, "in_leaf")
	n, ok := p.index.Unit(addr)
	require.True(t, ok)
	u, err := p.debug.Unit(p.index, n)
	require.ErrorIs(t, err, ErrElsewhere)
	assert.Equal(t, []Frame{{File: source, Line: lineOf(t, source, "leaf")}}, u.Frames(addr, nil))
}

func TestNoDebugInformation(t *testing.T) {
	dir := t.TempDir()
	source, err := filepath.Abs("testdata/truth.c")
	require.NoError(t, err)
	run(t, dir, "gcc", "-o", "plain", source)
	data, err := os.ReadFile(filepath.Join(dir, "plain"))
	require.NoError(t, err)
	img, sections, err := openELF(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	_, err = Open(img, sections, nil)
	assert.ErrorIs(t, err, ErrNone)
	_, _, err = openELF(bytes.NewReader(nil), 0)
	assert.ErrorIs(t, err, elffile.ErrNotELF)
}
