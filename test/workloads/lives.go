// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package workloads builds the programs that tests profile.
package workloads

import (
	"cmp"
	"debug/elf"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:embed lives/lives.c
var livesSource []byte

// Lives are two builds of the program whose arguments tell how it lives, see
// lives/lives.c. No address is in both.
type Lives struct {
	Alpha, Beta string
	slots       []slot
}

// slot is a function that one program burns a CPU in.
type slot struct {
	name       string
	start, end uint64
}

// builtVariable names the folder of programs that were built before, where there is no
// compiler.
const builtVariable = "LIVES"

// BuildLives compiles the two for fixed addresses that nothing but code has: a walk by
// frame pointers may take any word of a stack for a frame, and numbers below a thousand
// million are there as nanoseconds of a second, round ones as flags.
func BuildLives(t testing.TB) *Lives {
	t.Helper()
	l := &Lives{}
	l.Alpha = l.build(t, "alpha", "-static", "-no-pie", "-Wl,-Ttext-segment=0x47a5d000")
	l.Beta = l.build(t, "beta", "-static", "-no-pie", "-Wl,-Ttext-segment=0x5c3b9000")
	return l
}

// BuildRelocatedLives compiles the two for addresses that the kernel chooses,
// which say nothing: only names do.
func BuildRelocatedLives(t testing.TB, flags ...string) *Lives {
	t.Helper()
	l := &Lives{}
	flags = append(slices.Clip(flags), "-static-pie")
	l.Alpha, l.Beta = l.build(t, "alpha", flags...), l.build(t, "beta", flags...)
	return l
}

func (l *Lives) build(t testing.TB, name string, flags ...string) string {
	t.Helper()
	out := compile(t, name, livesSource, append(flags, "-pthread", "-DPROGRAM="+name)...)
	l.readSlots(t, out)
	return out
}

// compile builds a C program.
func compile(t testing.TB, name string, source []byte, flags ...string) string {
	t.Helper()
	if built := os.Getenv(builtVariable); built != "" {
		return filepath.Join(built, name)
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, name+".c"), filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(in, source, 0o600))
	arguments := append([]string{"-Wall", "-Werror", "-O2", "-g", "-fno-omit-frame-pointer", "-o", out, in}, flags...)
	output, err := exec.Command(cmp.Or(os.Getenv("CC"), "gcc"), arguments...).CombinedOutput()
	require.NoError(t, err, "%s", output)
	return out
}

func (l *Lives) readSlots(t testing.TB, program string) {
	t.Helper()
	f, err := elf.Open(program)
	require.NoError(t, err)
	defer f.Close()
	symbols, err := f.Symbols()
	require.NoError(t, err)
	for _, s := range symbols {
		if strings.Contains(s.Name, "_slot_") {
			l.slots = append(l.slots, slot{s.Name, s.Value, s.Value + s.Size})
		}
	}
	require.NotEmpty(t, l.slots)
}

// Program returns the path of alpha for even numbers and of beta for odd ones.
func (l *Lives) Program(n int) string {
	if n%2 == 0 {
		return l.Alpha
	}
	return l.Beta
}

// Slot returns the function at an address, such as "alpha_slot_3", or nothing.
func (l *Lives) Slot(address uint64) string {
	for _, s := range l.slots {
		if s.start <= address && address < s.end {
			return s.name
		}
	}
	return ""
}

// ProgramOf returns the name of the program that a slot belongs to.
func ProgramOf(slot string) string {
	program, _, _ := strings.Cut(slot, "_slot_")
	return program
}

// Run lives a script to its end. It is written with spaces between the words;
// each %s stands for a word.
func (l *Lives) Run(t testing.TB, script string, words ...any) {
	t.Helper()
	script = fmt.Sprintf(script, words...)
	output, err := exec.Command(l.Alpha, strings.Fields(script)...).CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, output)
}
