// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every key works at both ends of its range. The highest ring_buffer_size is left
// out: it takes 1 GiB per CPU and seconds to get it.
func TestEdgesOfTheConfiguration(t *testing.T) {
	const id = "ebpf_profiler"
	burn(t, chainC, 0)
	for _, test := range []struct {
		name, section string
		run           time.Duration
		// hertz is how many samples a second has at least; one CPU is busy.
		hertz float64
		// mayLose and refuses: there is not enough room.
		mayLose, refuses bool
	}{
		{
			"slowest sampling, one process, smallest batch",
			"{samples_per_second: 1, reporter_interval: 1s, max_processes: 1, max_batch_bytes: 65536}",
			2200 * time.Millisecond, 0.4, false, true,
		},
		{
			"fastest sampling, rarest drain and completion",
			"{samples_per_second: 10000, reporter_interval: 1s, poll_interval: 1s, completion_interval: 1s}",
			2200 * time.Millisecond, 5000, false, false,
		},
		{
			"fastest sampling, smallest ring, most frequent drain and completion",
			"{samples_per_second: 10000, reporter_interval: 1s, ring_buffer_size: 4096, poll_interval: 10ms, completion_interval: 10ms}",
			2200 * time.Millisecond, 50, true, false,
		},
		{
			"only shutdown completes, most processes, unlimited batch, another root",
			"{reporter_interval: 2562047h, completion_interval: 2562047h, max_processes: 4194304," +
				" max_batch_bytes: 9223372036854775807, root_path: /proc/self/root}",
			time.Second, 8, false, false,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := start(t, "edges.yaml", "SECTION="+test.section)
			began := time.Now()
			time.Sleep(test.run)
			s, elapsed := c.scrape(), time.Since(began).Seconds()
			c.stop()

			s.ledger(t, id).requireClosed(t)
			assert.Zero(t, s.sum(t, id, own("late_records")))
			said := farewells(t, string(c.log()))[id]
			t.Logf("%+v", said)
			assert.Zero(t, said.gap())
			if !test.mayLose {
				assert.Empty(t, said.Lost)
			}
			assert.Equal(t, test.refuses, s.sum(t, id, own("processes_refused")) > 0, "refuses processes")
			assert.Equal(t, test.refuses, s.sum(t, id, own("samples_overflowed")) > 0, "samples without a process")
			assert.GreaterOrEqual(t, float64(said.Delivered), test.hertz*elapsed)
			assert.Len(t, readSamples(t, c.file("profiles.otlp")), int(said.Delivered))
		})
	}
}

// Just outside of its range every key is refused, all of them at once.
func TestBeyondTheEdgesOfTheConfiguration(t *testing.T) {
	for _, test := range []struct {
		section string
		says    []string
	}{
		{
			`{samples_per_second: 0, reporter_interval: 999ms, poll_interval: 9ms, completion_interval: 8ms,` +
				` ring_buffer_size: 2048, max_processes: 0, max_batch_bytes: 65535, root_path: ""}`,
			[]string{
				"samples_per_second: 0 is out of range, want 1 to 10000",
				"reporter_interval: 999ms is out of range, want at least 1s",
				"poll_interval: 9ms is out of range, want 10ms to 1s",
				"completion_interval: 8ms is out of range, want poll_interval (9ms) to reporter_interval (999ms)",
				"ring_buffer_size: 2048 is out of range, want 0 or a power of two from 4096 to 1073741824",
				"max_processes: 0 is out of range, want 1 to 4194304",
				"max_batch_bytes: 65535 is out of range, want at least 65536",
				`root_path: "" is out of range, want an absolute path`,
			},
		},
		{
			`{samples_per_second: 10001, poll_interval: 1001ms, completion_interval: 5001ms,` +
				` ring_buffer_size: 2147483648, max_processes: 4194305, completion_listeners: [file, file]}`,
			[]string{
				"samples_per_second: 10001 is out of range, want 1 to 10000",
				"poll_interval: 1.001s is out of range, want 10ms to 1s",
				"completion_interval: 5.001s is out of range, want poll_interval (1.001s) to reporter_interval (5s)",
				"ring_buffer_size: 2147483648 is out of range, want 0 or a power of two from 4096 to 1073741824",
				"max_processes: 4194305 is out of range, want 1 to 4194304",
				`completion_listeners: "file" is out of range, want every extension once`,
			},
		},
	} {
		env := []string{"SECTION=" + test.section, "DIR=" + t.TempDir(), portVariable(t, "METRICS_PORT")}
		for _, command := range [][]string{{"validate"}, nil} {
			output := fails(t, env, append(append([]string{collectorBinary(t)}, command...), "--config=testdata/edges.yaml", gate)...)
			_, said, found := strings.Cut(strings.TrimSpace(output), "receivers::ebpf_profiler: ")
			require.True(t, found, output)
			assert.Equal(t, test.says, strings.Split(said, "\n"))
		}
	}
}
