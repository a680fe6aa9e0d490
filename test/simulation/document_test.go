// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the tables into the document")

const (
	document = "../../docs/watermark.md"
	begin    = "<!-- simulation: begin -->\n"
	end      = "<!-- simulation: end -->\n"
)

func TestTheDocumentShowsWhatTheSimulationFinds(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	was, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	is := "\n" + completionTable(results()) + "\n" + nameTable(results()) + "\n"
	if *update {
		require.NoError(t, os.WriteFile(document, []byte(head+begin+is+end+tail), 0o644))
		return
	}
	require.Equal(t, was, is, "run make simulate")
}

func completionTable(rs []*result) string {
	var b strings.Builder
	row(&b, "host", "CPUs", "Hz", "samples", "late", "", "backward", "", "stuck", "", "per 10,000 samples", "", "largest lag ms", "")
	row(&b, strings.Split("---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:", "|")...)
	for _, r := range rs {
		cells := []string{r.stream.name, fmt.Sprint(r.stream.cpus), fmt.Sprint(r.stream.hz), fmt.Sprint(len(r.stream.shared))}
		o, m := r.ours.tally, r.minimum.tally
		for _, n := range []int{o.late, m.late, o.backward, m.backward, o.stuck, m.stuck} {
			cells = append(cells, fmt.Sprint(n))
		}
		cells = append(cells, o.perSample(), m.perSample(), fmt.Sprint(o.lag/ms), fmt.Sprint(m.lag/ms))
		row(&b, cells...)
	}
	return b.String()
}

func (t *tally) perSample() string {
	if t.samples == 0 {
		return "-"
	}
	tenths := 100_000 * t.completions / t.samples
	return fmt.Sprintf("%d.%d", tenths/10, tenths%10)
}

func nameTable(rs []*result) string {
	var b strings.Builder
	row(&b, "host", "processes", "PIDs", "named after another", "", "without a name", "", "lost records", "reconciled")
	row(&b, strings.Split("---|--:|--:|--:|--:|--:|--:|--:|--:", "|")...)
	for _, r := range rs {
		cells := []string{r.stream.name}
		o, m := r.ours.names, r.minimum.names
		for _, n := range []int{len(r.stream.children), r.stream.pids, o.wrong, m.wrong, o.none, m.none, len(o.gaps),
			int(o.table.Stats().Reconciled)} {
			cells = append(cells, fmt.Sprint(n))
		}
		row(&b, cells...)
	}
	return b.String()
}

func row(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}
