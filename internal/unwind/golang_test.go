// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"debug/elf"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/gosymbol"
)

// buildGo compiles a Go program, with the symbols of its functions unless it is stripped.
func buildGo(t *testing.T, flags string) (path string, functions map[string]uint64) {
	t.Helper()
	dir := t.TempDir()
	source := "package main\n\nfunc main() { println(7) }\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600))
	t.Setenv("CGO_ENABLED", "0")
	t.Setenv("GOOS", "linux")
	t.Setenv("GOARCH", "amd64")
	run(t, dir, "go", "build", "-ldflags="+flags, "-o", "program", "main.go")
	path = filepath.Join(dir, "program")
	f, err := elf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	functions = map[string]uint64{}
	symbols, _ := f.Symbols()
	for _, s := range symbols {
		functions[s.Name] = s.Value
	}
	return path, functions
}

func locateGo(data []byte) (gosymbol.Input, error) {
	f, err := elffile.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return gosymbol.Input{}, err
	}
	sections, err := f.Sections()
	if err != nil {
		return gosymbol.Input{}, err
	}
	return gosymbol.Locate(f, sections)
}

// What call frame information does not say of Go is known.
func TestGoFunctionsOfAllKinds(t *testing.T) {
	path, functions := buildGo(t, "")
	table := compilePath(t, path)
	saved := Rule{RA: AtCFA, RAOffset: -8, FP: AtCFA, FPOffset: -16}
	switched := saved
	switched.CFA, switched.CFAOffset, switched.Switch = CFAFP, 16, true
	framed := saved
	framed.CFA, framed.CFAOffset = CFASP, 16
	for name, want := range map[string]Rule{
		"runtime.goexit.abi0":               {CFA: CFAUnsupported, RA: Undefined},
		"runtime.mstart.abi0":               {CFA: CFAUnsupported, RA: Undefined},
		"runtime.systemstack.abi0":          switched,
		"runtime.asmcgocall.abi0":           switched,
		"runtime.mcall":                     switched,
		"runtime.sigreturn__sigaction.abi0": signalReturnRule,
		"runtime.main":                      {CFA: CFASP, CFAOffset: 8, RA: AtCFA, RAOffset: -8, FP: Same},
	} {
		require.Contains(t, functions, name)
		rule, _ := table.Find(functions[name])
		assert.Equal(t, want, rule, name)
	}
	begin := functions["runtime.main"]
	seen := map[Rule]bool{}
	for at := begin; at < begin+0x40; at++ {
		rule, _ := table.Find(at)
		seen[rule] = true
	}
	assert.True(t, seen[framed], "the frame pointer is pushed")
}

// The line table is in stripped programs too, and says the same.
func TestStrippedGoProgramsHaveRows(t *testing.T) {
	whole, _ := buildGo(t, "")
	stripped, functions := buildGo(t, "-s -w")
	require.Empty(t, functions)
	want, got := compilePath(t, whole), compilePath(t, stripped)
	require.Equal(t, want.Base, got.Base)
	require.Greater(t, len(got.Rows), 5000)
	data, err := os.ReadFile(stripped)
	require.NoError(t, err)
	in, err := locateGo(data)
	require.NoError(t, err)
	spans := 0
	require.NoError(t, gosymbol.Spans(in, func(s gosymbol.Span) error {
		spans++
		for _, at := range []uint64{s.Start, s.End - 1} {
			a, _ := want.Find(at)
			b, _ := got.Find(at)
			require.Equal(t, a, b, "%#x", at)
			if b != signalReturnRule {
				require.Equal(t, goRule(s), b, "%#x", at)
			}
		}
		return nil
	}))
	require.Greater(t, spans, 5000)
}

func TestGoFrameOfImpossibleSize(t *testing.T) {
	assert.Equal(t, NoInfo, goRule(gosymbol.Span{Size: math.MaxInt32}))
}
