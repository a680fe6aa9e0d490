// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// subject is a file whose addresses are named.
type subject struct {
	name  string
	build func(t *testing.T) string
	// large: it takes long, or is not on every host.
	large bool
}

var subjects = []subject{
	{name: "C++, gcc, DWARF 5", build: cxx("g++", "-g")},
	{name: "C++, gcc, DWARF 4, zlib", build: cxx("g++", "-g", "-gdwarf-4", "-gz")},
	{name: "C++, gcc, DWARF 5, zstd", build: then(cxx("g++", "-g"), "llvm-objcopy-19", "--compress-debug-sections=zstd")},
	{name: "C++, gcc, split DWARF 4", build: cxx("g++", "-g", "-gdwarf-4", "-gsplit-dwarf")},
	{name: "C++, clang, DWARF 4", build: cxx("clang++-19", "-g", "-gdwarf-4")},
	{name: "C++, clang, split DWARF 5", build: cxx("clang++-19", "-g", "-gsplit-dwarf")},
	{name: "C++, clang, split DWARF 5, package", build: packaged(cxx("clang++-19", "-g", "-gsplit-dwarf"))},
	{name: "C++, clang, one section per function", build: cxx("clang++-19", "-g", "-ffunction-sections", "-Wl,--gc-sections")},
	{name: "Rust, release with debug information", build: rust},
	{name: "C library, separate debug file", build: installed("/lib/x86_64-linux-gnu/libc.so.6")},
	{name: "Go program", build: goProgram},
	{name: "libstdc++, separate debug file", build: installed("/usr/lib/x86_64-linux-gnu/libstdc++.so.6"), large: true},
	{name: "libstdc++, debug build", build: installed("/usr/lib/x86_64-linux-gnu/debug/libstdc++.so.6"), large: true},
	{name: "Go command", build: goCommand, large: true},
	{name: "bash, stripped", build: installed("/bin/bash"), large: true},
}

// need skips the test if a program or file is not there. CI has all of them.
func need(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		roottest.Lacks(t, what, ": ", err)
	}
}

func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	_, err := exec.LookPath(args[0])
	need(t, args[0], err)
	cmd := exec.Command(args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &out
	require.NoError(t, cmd.Run(), out.String())
}

// cxx builds testdata/program.cc, with template code of the library inlined.
func cxx(compiler string, flags ...string) func(*testing.T) string {
	return func(t *testing.T) string {
		dir := t.TempDir()
		source, err := filepath.Abs("testdata/program.cc")
		require.NoError(t, err)
		run(t, dir, append([]string{compiler, "-O2", "-o", "program", source}, flags...)...)
		return filepath.Join(dir, "program")
	}
}

// then runs a tool on what was built.
func then(build func(*testing.T) string, args ...string) func(*testing.T) string {
	return func(t *testing.T) string {
		file := build(t)
		run(t, filepath.Dir(file), append(args, file)...)
		return file
	}
}

// packaged moves the files that were split off into one.
func packaged(build func(*testing.T) string) func(*testing.T) string {
	return func(t *testing.T) string {
		file := build(t)
		split, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.dwo"))
		require.NoError(t, err)
		require.NotEmpty(t, split)
		run(t, filepath.Dir(file), "llvm-dwp-19", "-e", file, "-o", file+".dwp")
		for _, f := range split {
			require.NoError(t, os.Remove(f))
		}
		return file
	}
}

func rust(t *testing.T) string {
	dir := t.TempDir()
	source, err := filepath.Abs("testdata/program.rs")
	require.NoError(t, err)
	run(t, dir, "rustc", "-O", "-g", "-o", "program", source)
	return filepath.Join(dir, "program")
}

func goProgram(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "gofmt")
	run(t, "", "go", "build", "-o", file, "cmd/gofmt")
	return file
}

func goCommand(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "go")
	run(t, "", "go", "build", "-o", file, "cmd/go")
	return file
}

func installed(file string) func(*testing.T) string {
	return func(t *testing.T) string {
		real, err := filepath.EvalSymlinks(file)
		need(t, file, err)
		return real
	}
}
