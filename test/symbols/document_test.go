// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbols

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	update = flag.Bool("update", false, "write the table into the document")
	files  = flag.String("files", "", "further files: name=path, separated by commas")
)

const (
	document = "../../docs/symbols.md"
	begin    = "<!-- symbols: begin -->\n"
	end      = "<!-- symbols: end -->\n"
	// many is how many addresses of each file the document compares.
	many = 100_000
)

// TestTheDocument compares all files, and writes what it finds. The table depends on what
// is installed, so that without -update only the agreement is checked, with fewer
// addresses: TestAgainstSymbolizer.
func TestTheDocument(t *testing.T) {
	content, err := os.ReadFile(document)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(content), begin)
	require.True(t, ok)
	was, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	for class := range Classes {
		require.Contains(t, was, "| "+class.String(), "every class has a column")
	}
	if !*update {
		return
	}
	all := subjects
	for _, f := range strings.Split(*files, ",") {
		if name, path, ok := strings.Cut(f, "="); ok {
			all = append(all, subject{name: name, build: installed(path)})
		}
	}
	commit, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	require.NoError(t, err)
	var b strings.Builder
	fmt.Fprintf(&b, "\nCommit %s.\n\n| file | agreement", strings.TrimSpace(string(commit)))
	for class := range Classes {
		fmt.Fprintf(&b, " | %v", class)
	}
	fmt.Fprintf(&b, " |\n|---|--:%s|\n", strings.Repeat("|--:", int(Classes)))
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			c := compare(t, s.build(t), many)
			require.GreaterOrEqual(t, c.agreement(), agreement)
			fmt.Fprintf(&b, "| %s | %.3f %%", s.name, 100*c.agreement())
			for _, n := range c {
				fmt.Fprintf(&b, " | %d", n)
			}
			b.WriteString(" |\n")
		})
	}
	b.WriteString("\n")
	require.False(t, t.Failed())
	require.NoError(t, os.WriteFile(document, []byte(head+begin+b.String()+end+tail), 0o644))
}
