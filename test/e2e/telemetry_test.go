// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Two receivers in one collector differ in rate and intervals, so their metrics
// can only be right if they stay apart. The host is idle, but for this test.
func TestTwoReceiversSideBySide(t *testing.T) {
	c := start(t, "two.yaml")
	var before, after scrape
	var elapsed time.Duration
	for range 10 { // until the host lets it run
		time.Sleep(time.Second)
		held, from := c.held(), time.Now()
		before = c.scrape()
		time.Sleep(5 * time.Second)
		after, elapsed = c.scrape(), time.Since(from)
		if held = c.held() - held; held < 200*time.Millisecond {
			break
		}
		t.Logf("waited %v for a CPU", held)
	}
	stopped := monotonic(t)
	c.stop()

	completions := readCompletions(t, c.file("completions"))
	for _, r := range []struct {
		id, file   string
		rate       float64
		completion time.Duration
		window     time.Duration
	}{
		{"ebpf_profiler/a", "a.otlp", 97, 500 * time.Millisecond, time.Second},
		{"ebpf_profiler/b", "b.otlp", 19, 200 * time.Millisecond, 2 * time.Second},
	} {
		t.Run(r.id, func(t *testing.T) {
			grown := func(name string) float64 {
				return after.sum(t, r.id, own(name)) - before.sum(t, r.id, own(name))
			}
			after.ledger(t, r.id).requireClosed(t)
			assert.Zero(t, after.sum(t, r.id, own("late_records")))
			assert.Less(t, after.sum(t, r.id, own("watermark_lag")), 2.0)

			// Both scrapes fall somewhere between two completions, and a grace
			// period may come a little sooner or later.
			assert.InDelta(t, elapsed.Seconds()/r.completion.Seconds(), grown("completions"), 2)
			expected := elapsed.Seconds() * r.rate * float64(runtime.NumCPU())
			slack := 2 * r.completion.Seconds() * r.rate * float64(runtime.NumCPU())
			assert.InDelta(t, expected, grown("samples_expected"), slack)

			heard := completions[r.id]
			require.Greater(t, float64(len(heard)), elapsed.Seconds()/r.window.Seconds())
			for i := 1; i < len(heard); i++ {
				require.Greater(t, heard[i], heard[i-1], "completion %d", i)
			}
			assert.GreaterOrEqual(t, heard[len(heard)-1], stopped, "the last completion covers all there was")
			assert.NotEmpty(t, readSamples(t, c.file(r.file)))
		})
	}
	assert.Len(t, completions, 2, "receivers that tell of completions")
}

// held is how long the collector's threads have waited for a CPU.
func (c *collector) held() (all time.Duration) {
	c.t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", c.process.Pid))
	require.NoError(c.t, err)
	require.NotEmpty(c.t, threads)
	for _, path := range threads {
		text, err := os.ReadFile(path) // time on a CPU, time of waiting for one, in ns
		if err != nil {
			continue // it has just ended
		}
		waited, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
		require.NoError(c.t, err)
		all += time.Duration(waited)
	}
	return all
}

func monotonic(t testing.TB) int64 {
	t.Helper()
	var now unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
	return now.Nano()
}

// readCompletions reads the file of the extension: receiver and nanoseconds.
func readCompletions(t testing.TB, name string) map[string][]int64 {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	out := map[string][]int64{}
	for line := range strings.Lines(string(text)) {
		receiver, until, found := strings.Cut(strings.TrimSpace(line), " ")
		require.True(t, found, line)
		n, err := strconv.ParseInt(until, 10, 64)
		require.NoError(t, err)
		out[receiver] = append(out[receiver], n)
	}
	return out
}

// Completions come a hundred times a second here, so that many scrapes meet one:
// every scrape still has to add up.
func TestEveryScrapeAddsUp(t *testing.T) {
	burnAll(t)
	c := start(t, "busy.yaml")
	const id, scrapes = "ebpf_profiler", 600
	broken, worst := 0, ledger{}
	for range scrapes {
		if l := c.scrape().ledger(t, id); l.gaps() != [2]float64{} {
			broken, worst = broken+1, l
		}
	}
	assert.Zero(t, broken, "of %d scrapes, such as %+v, which lacks %v", scrapes, worst, worst.gaps())
	end := c.scrape()
	assert.Zero(t, end.sum(t, id, own("late_records")))
	assert.Greater(t, end.sum(t, id, own("completions")), 20.0)
	c.stop()
}
