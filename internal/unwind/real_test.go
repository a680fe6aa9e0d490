// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

func run(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(tool(t, name), args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// host returns the first file that one of the patterns finds, "" if there is none.
func host(patterns ...string) string {
	for _, pattern := range patterns {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// libc is a real library that every test machine has.
func libc(t testing.TB) string {
	t.Helper()
	path := host("/lib/*-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6")
	if path == "" {
		roottest.Lacks(t, "no GNU C library")
	}
	return path
}

func compilePath(t testing.TB, path string) *Table {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return compile(t, data)
}

func compile(t testing.TB, data []byte) *Table {
	t.Helper()
	table, err := Compile(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	checkTable(t, table)
	return table
}

// checkTable holds what must be true of any table.
func checkTable(t testing.TB, table *Table) {
	t.Helper()
	require.NotEmpty(t, table.Rows)
	for i, row := range table.Rows {
		if int(row.Rule) >= len(table.Rules) {
			t.Fatalf("row %d has rule %d of %d", i, row.Rule, len(table.Rules))
		}
		if i > 0 && (row.Offset <= table.Rows[i-1].Offset || row.Rule == table.Rows[i-1].Rule) {
			t.Fatalf("row %d is %v behind %v", i, row, table.Rows[i-1])
		}
		addr := table.Base + uint64(row.Offset)
		if rule, ok := table.Find(addr); rule != table.Rules[row.Rule] || ok != (rule != NoInfo) {
			t.Fatalf("%#x: %v, %v", addr, rule, ok)
		}
	}
	require.Zero(t, table.Rows[len(table.Rows)-1].Rule, "nothing is known behind the end")
	require.Equal(t, NoInfo, table.Rules[0])
	seen := make(map[Rule]bool)
	for _, rule := range table.Rules {
		require.False(t, seen[rule], "%v is there twice", rule)
		seen[rule] = true
	}
	require.Equal(t, table.Damaged > 0, table.Cause != nil)
}

// unsupported counts the rows that say nothing, and the bytes of code in them.
func unsupported(table *Table) (rows int, share float64) {
	var lost, all uint64
	for i, row := range table.Rows[:len(table.Rows)-1] {
		n := uint64(table.Rows[i+1].Offset - row.Offset)
		rule := table.Rules[row.Rule]
		if rule == NoInfo {
			continue
		}
		all += n
		if rule.CFA == CFAUnsupported || rule.RA == Unknown {
			rows++
			lost += n
		}
	}
	return rows, float64(lost) / float64(all)
}

// expect says whether a rule is what readelf says.
func (r interpRow) expect(arch Arch, rule Rule) bool {
	sp, fp, lr := "rsp", "rbp", ""
	if arch == ARM64 {
		sp, fp, lr = "sp", "x29", "30"
	}
	if r.signal != rule.Signal {
		return false
	}
	register, offset, _ := strings.Cut(r.cfa, "+")
	if i := strings.IndexByte(r.cfa, '-'); i > 0 {
		register, offset = r.cfa[:i], r.cfa[i:]
	}
	n, _ := strconv.Atoi(offset)
	switch {
	case r.cfa == "exp":
		if rule.CFA <= CFAUnsupported || rule.CFA == CFASP || rule.CFA == CFAFP {
			return rule.CFA == CFAUnsupported
		}
	case register == sp && (rule.CFA != CFASP || int(rule.CFAOffset) != n),
		register == fp && (rule.CFA != CFAFP || int(rule.CFAOffset) != n):
		return false
	case register != sp && register != fp:
		return rule.CFA == CFAUnsupported
	}
	switch {
	case r.ra == "u" && (rule.RA == Undefined || rule.RA == InLR && r.returnIn == lr):
	case r.ra == "u" && rule.RA == Unknown && r.returnIn != lr:
	case r.ra == "s" && lr != "" && rule.RA == InLR:
	case r.ra != "u" && r.ra != "s" && isPlace(r.ra, rule.RA, rule.RAOffset):
	default:
		return false
	}
	if r.fp == "u" || r.fp == "s" {
		return rule.FP == Same
	}
	return isPlace(r.fp, rule.FP, rule.FPOffset)
}

// isPlace says whether readelf's column is a place in memory.
func isPlace(column string, place Place, offset int32) bool {
	if c, ok := strings.CutPrefix(column, "c"); ok {
		n, err := strconv.Atoi(c)
		return err == nil && place == AtCFA && int(offset) == n
	}
	if column == "exp" {
		return place == AtSP || place == AtFP || place == Unknown
	}
	return place == Unknown
}

// maxLost is how much of the code may have rules that nobody can follow. It is
// assembly that addresses its frame by other registers: 2.4 % of libcrypto.
const maxLost = 0.05

// checkReadelf compares all rows with readelf's, at both their ends.
func checkReadelf(t *testing.T, path string) *Table {
	table := compilePath(t, path)
	require.Zero(t, table.Damaged, "%v", table.Cause)
	inEH, golang := false, table.Arch == AMD64 && isGo(t, path)
	fdes, rows, wrong := interp(t, path), 0, 0
	starts := make(map[uint64]bool)
	for _, f := range fdes {
		starts[f.start] = true
		inEH = inEH || f.section == ".eh_frame"
	}
	for _, f := range fdes {
		if f.section != ".eh_frame" && inEH || f.start == 0 || f.start == f.end {
			continue
		}
		for _, row := range f.rows {
			if row.addr >= row.end {
				continue
			}
			rows++
			for _, addr := range []uint64{row.addr, row.end - 1} {
				rule, _ := table.Find(addr)
				if golang && (rule.RA == Undefined || rule.Switch || rule.Signal) {
					continue // the linker does not say so
				}
				if golang && rule.FP == AtCFA && rule.FPOffset == -16 {
					rule.FP, rule.FPOffset = Same, 0 // nor this
				}
				if !row.expect(table.Arch, rule) {
					if wrong++; wrong < 10 {
						t.Errorf("%#x: %+v, readelf says %+v", addr, rule, row)
					}
				}
			}
		}
		if _, ok := table.Find(f.end); ok && !starts[f.end] {
			t.Errorf("%#x is behind an FDE and described", f.end)
		}
	}
	require.NotZero(t, rows)
	lost, share := unsupported(table)
	t.Logf("%s: %d FDEs, %d rows of readelf, %d rows, %d rules, %d bytes, %d rows unsupported (%.4f %% of the code)",
		path, table.Functions, rows, len(table.Rows), len(table.Rules), table.Bytes(), lost, 100*share)
	return table
}

func isGo(t *testing.T, path string) bool {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	_, err = locateGo(data)
	return err == nil
}

// The files of this host agree with readelf.
func TestHost(t *testing.T) {
	for _, patterns := range [][]string{
		{libc(t)},
		{"/lib64/ld-linux-*.so.*", "/lib/ld-linux-*.so.*"},
		{"/lib/*-linux-gnu/libm.so.6", "/lib64/libm.so.6"},
		{"/usr/lib/*-linux-gnu/libstdc++.so.6", "/usr/lib64/libstdc++.so.6"},
		{"/usr/lib/*-linux-gnu/libcrypto.so.*", "/usr/lib64/libcrypto.so.*"},
		{"/usr/bin/bash", "/bin/bash"},
		{"/usr/bin/python3"},
		{"/usr/aarch64-linux-gnu/lib/libc.so.6"},
		{"/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1"},
	} {
		path := host(patterns...)
		t.Run(filepath.Base(patterns[0]), func(t *testing.T) {
			if path == "" {
				roottest.Lacks(t, "not on this host")
			}
			_, share := unsupported(checkReadelf(t, path))
			assert.Less(t, share, maxLost)
		})
	}
}

const cSource = `
#include <string.h>
__attribute__((noinline)) int leaf(int n) { return n * 3; }
__attribute__((noinline)) int aligned(int n) { // wants its stack pointer aligned
	char buf[64] __attribute__((aligned(64)));
	memset(buf, n, sizeof buf);
	return leaf(buf[n & 63]);
}
__attribute__((noinline)) int sized(int n) { // needs a frame pointer
	char buf[n], lines[64] __attribute__((aligned(64)));
	memset(buf, n, n);
	memset(lines, n, sizeof lines);
	return aligned(buf[n / 2] + lines[n & 63]);
}
int main(int argc, char **argv) { return sized(argc); }
`

// cProgram is a program of C, built with flags.
func cProgram(t testing.TB, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.c"), []byte(cSource), 0o600))
	run(t, dir, "gcc", append(flags, "-o", "prog", "main.c")...)
	return filepath.Join(dir, "prog")
}

func TestCProgram(t *testing.T) {
	programs := map[string][]string{
		"pie":            {"-O2", "-pie", "-fPIE"},
		"no-pie":         {"-O1", "-no-pie"},
		"frame pointers": {"-O0", "-fno-omit-frame-pointer"},
		"static":         {"-O2", "-static"},
		"one segment":    {"-O2", "-Wl,-z,noseparate-code"},
		"library":        {"-O2", "-shared", "-fPIC"},
	}
	if runtime.GOARCH == "amd64" {
		programs["PLT"] = []string{"-O2", "-Wl,-z,lazy", "-fcf-protection=none"}
		programs["PLT for IBT"] = []string{"-O2", "-Wl,-z,lazy,-z,ibtplt", "-fcf-protection"}
	}
	for name, flags := range programs {
		t.Run(name, func(t *testing.T) { checkReadelf(t, cProgram(t, flags...)) })
	}
}

// Without section headers the program header leads to the same table.
func TestWithoutSectionHeaders(t *testing.T) {
	for _, path := range []string{libc(t), cProgram(t, "-O2"), cProgram(t, "-O2", "-static-pie")} {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		want := compile(t, data)
		clear(data[40:48]) // e_shoff
		assert.Equal(t, want, compile(t, data), path)
	}
}

// What .eh_frame lacks comes from .debug_frame, compressed or not.
func TestDebugFrame(t *testing.T) {
	for name, flags := range map[string][]string{
		"plain":      {"-gz=none"},
		"compressed": {"-gz=zlib"},
	} {
		t.Run(name, func(t *testing.T) {
			flags = append(flags, "-O1", "-g", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables")
			path := cProgram(t, flags...)
			table := checkReadelf(t, path)
			covered := 0
			for _, f := range interp(t, path) {
				if f.section == ".eh_frame" || f.start == 0 {
					continue
				}
				for _, row := range f.rows {
					rule, ok := table.Find(row.addr)
					require.True(t, ok, "%#x", row.addr)
					require.True(t, row.expect(table.Arch, rule), "%+v: %+v", row, rule)
					covered++
				}
			}
			require.GreaterOrEqual(t, covered, 8)
		})
	}
}

// The Go toolchain writes .debug_frame, on both architectures.
func TestGoProgram(t *testing.T) {
	dir := t.TempDir()
	source := "package main\n\nfunc main() { println(7) }\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600))
	for _, arch := range []Arch{AMD64, ARM64} {
		t.Run(arch.String(), func(t *testing.T) {
			t.Setenv("CGO_ENABLED", "0")
			t.Setenv("GOOS", "linux")
			t.Setenv("GOARCH", arch.String())
			run(t, dir, "go", "build", "-o", arch.String(), "main.go")
			table := checkReadelf(t, filepath.Join(dir, arch.String()))
			assert.Equal(t, arch, table.Arch)
		})
	}
}
