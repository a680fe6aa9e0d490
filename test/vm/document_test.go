// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package vm

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the tables into the document")

const (
	document = "../../docs/kernels.md"
	begin    = "<!-- kernels: begin -->\n"
	end      = "<!-- kernels: end -->\n"
)

// writeDocument puts the outcomes in place of those of an earlier run.
func writeDocument(t *testing.T, all []*outcome) {
	t.Helper()
	require.Len(t, all, len(machines), "the document shows all machines")
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	_, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	commit, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	require.NoError(t, err)
	form := "all tests"
	if testing.Short() {
		form = "the short form"
	}
	is := fmt.Sprintf("\nCommit %s, %s.\n\n%s\n%s\n", strings.TrimSpace(string(commit)), form, testTable(all), verifierTable(all))
	require.NoError(t, os.WriteFile(document, []byte(head+begin+is+end+tail), 0o644))
}

func testTable(all []*outcome) string {
	return table("test", all, func(o *outcome) []string { return slices.Collect(maps.Keys(o.tests)) },
		func(o *outcome, name string) string {
			return map[string]string{"PASS": "passed", "SKIP": "skipped"}[o.tests[name]]
		})
}

func verifierTable(all []*outcome) string {
	return table("program", all, func(o *outcome) []string { return slices.Collect(maps.Keys(o.verified)) },
		func(o *outcome, name string) string {
			if n := o.verified[name]; n > 0 {
				return fmt.Sprint(n)
			}
			return ""
		})
}

// table has a column per machine and a row for each name that one of them knows.
func table(title string, all []*outcome, names func(*outcome) []string, cell func(o *outcome, name string) string) string {
	var b strings.Builder
	var known []string
	heading, rule := []string{title}, []string{"---"}
	for _, o := range all {
		known = append(known, names(o)...)
		heading, rule = append(heading, o.kernel), append(rule, "---")
	}
	slices.Sort(known)
	row(&b, heading)
	row(&b, rule)
	for _, name := range slices.Compact(known) {
		cells := []string{name}
		for _, o := range all {
			if c := cell(o, name); c != "" {
				cells = append(cells, c)
			} else {
				cells = append(cells, "-")
			}
		}
		row(&b, cells)
	}
	return b.String()
}

func row(b *strings.Builder, cells []string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}
