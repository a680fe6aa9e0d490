// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build stacks && linux

package stacks_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	tableBegins = "<!-- output of make test-stacks -->\n"
	tableEnds   = "<!-- end output of make test-stacks -->\n"
)

// document writes the table into docs/stacks.md.
func document(t *testing.T, verdicts []verdict) {
	path := filepath.Join("..", "..", "docs", "stacks.md")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), tableBegins)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, tableEnds)
	require.True(t, ok)
	require.NoError(t, os.WriteFile(path, []byte(before+tableBegins+table(verdicts)+tableEnds+after), 0o644))
}

func table(verdicts []verdict) string {
	var out strings.Builder
	var name unix.Utsname
	_ = unix.Uname(&name)
	commit, _ := exec.Command("git", "describe", "--always", "--dirty").Output()
	fmt.Fprintf(&out, "Commit %s, Linux %s, %d CPUs, %d Hz for %v each.\n\n", strings.TrimSpace(string(commit)),
		unix.ByteSliceToString(name.Release[:]), runtime.NumCPU(), *rate, *duration)
	out.WriteString("| program | samples | exact | no unwind information | return address overwritten |\n|---|---|---|---|---|\n")
	for _, v := range verdicts {
		exact := fmt.Sprintf("%.2f %%", v.share())
		if v.exact == 0 {
			exact = "-" // all end in code without unwind information
		}
		fmt.Fprintf(&out, "| %s | %d | %s | %s | %s |\n", v.program.name, v.samples, exact, counts(v.blind), counts(v.torn))
	}
	return out.String()
}

func counts(of map[string]int) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		out = append(out, fmt.Sprintf("%d in %s", of[name], name))
	}
	return strings.Join(out, ", ")
}
