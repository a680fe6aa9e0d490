// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// SIGTERM under load: the collector ends in time and the last window is whole,
// up to the very end.
func TestTermUnderLoad(t *testing.T) {
	burners := burnAll(t)
	c := start(t, "one.yaml", "RATE=997")
	// Not a multiple of the window, so that one is half full.
	time.Sleep(2600 * time.Millisecond)
	ordered := time.Now()
	c.stop()

	all := readSamples(t, c.file("profiles.otlp"))
	for _, b := range burners {
		last := of(all, b.pid, ordered.Add(-200*time.Millisecond), ordered)
		t.Logf("%s: %d samples in the 200 ms before SIGTERM", b.name, len(last))
		assert.NotEmpty(t, last, "the end of %s is missing", b.name)
	}
}

// A consumer that always fails: what it does not take is counted and forgotten.
func TestFailingExporter(t *testing.T) {
	const id, maxGrowth, maxMemory = "ebpf_profiler", 30 << 20, 150 << 20
	burnAll(t)
	c := start(t, "failing.yaml", portVariable(t, "CLOSED_PORT"))
	lost := func(s scrape) float64 { return s.sum(t, id, own("samples_lost"), "reason", "consumer_retry") }

	c.settle()
	early, used := c.scrape(), c.memory()
	require.Positive(t, lost(early))
	time.Sleep(6 * time.Second)
	late := c.scrape()
	t.Logf("%.0f samples lost, then %.0f", lost(early), lost(late))

	const refused = "otelcol_receiver_refused_profile_samples"
	assert.Greater(t, late.sum(t, id, refused), early.sum(t, id, refused))
	// Each second brings about 2 x 997 samples, of which none is kept for long.
	assert.Greater(t, lost(late)-lost(early), 3.0*2*997)
	assert.Less(t, late.ledger(t, id).InFlight, 4.0*2*997)
	assert.Zero(t, late.ledger(t, id).Delivered)
	assert.Less(t, c.growth(used, maxGrowth, 6*time.Second), maxGrowth, "memory grows")
	assert.Less(t, c.memory(), maxMemory)
	early.ledger(t, id).requireClosed(t)
	late.ledger(t, id).requireClosed(t)
	assert.Zero(t, late.sum(t, id, own("late_records")))
	c.stop()
}

// settle waits until the files of all that runs here have been read, which takes memory, and
// the first windows have been sent: until three looks find no more than any before.
func (c *collector) settle() {
	const most = 20
	for highest, same, n := 0, 0, 0; same < 3 && n < most; n++ {
		time.Sleep(1500 * time.Millisecond)
		now := c.memory()
		same++
		if now > highest+1<<20 {
			highest, same = now, 0
		}
	}
}

// growth is how many bytes are resident beyond those used before. If that is most it looks
// again after a while, twice: files of programs that have just started are read once, what
// is kept grows all the time.
func (c *collector) growth(used, most int, while time.Duration) (growth int) {
	c.t.Helper()
	for looks := range 3 {
		if looks > 0 {
			time.Sleep(while)
		}
		now := c.memory()
		c.t.Logf("%d KiB resident, then %d KiB", used>>10, now>>10)
		if growth = now - used; growth < most {
			break
		}
		used = now
	}
	return growth
}

// memory is what the collector has resident, in bytes.
func (c *collector) memory() int {
	c.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.process.Pid))
	require.NoError(c.t, err)
	_, rest, found := strings.Cut(string(status), "VmRSS:")
	require.True(c.t, found)
	kibibytes, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(c.t, err)
	return kibibytes << 10
}

// A reload ends the receiver and starts a new one in the same process, which
// profiles like the first and leaves nothing of it behind.
func TestReload(t *testing.T) {
	const id = "ebpf_profiler"
	b := burn(t, chainC, 0)
	c := start(t, "one.yaml", "RATE=97")
	time.Sleep(time.Second)
	before := c.handles()
	require.Positive(t, before["bpf-map"])
	for reload := 1; reload <= 5; reload++ {
		c.signal(syscall.SIGHUP)
		c.waitReady(1 + reload)
		var s scrape
		for range 20 { // until a window is full
			time.Sleep(1100 * time.Millisecond)
			if s = c.scrape(); s.ledger(t, id).Delivered > 0 {
				break
			}
		}
		assert.Positive(t, s.ledger(t, id).Delivered, "reload %d", reload)
		assert.Zero(t, s.sum(t, id, own("late_records")), "reload %d", reload)
		s.ledger(t, id).requireClosed(t)
	}
	after := c.handles()
	t.Logf("before %v, after %v", before, after)
	for _, kind := range []string{"bpf-map", "bpf-prog", "bpf_link", "[perf_event]", "mapped"} {
		assert.Equal(t, before[kind], after[kind], kind)
	}
	// Connections of scrapes and files that are read come and go.
	assert.Eventually(t, func() bool { return c.handles()["all"] <= before["all"]+2 }, 10*time.Second, 50*time.Millisecond)
	ended := time.Now()
	c.stop()
	assert.NotEmpty(t, of(readSamples(t, c.file("profiles.otlp")), b.pid, ended.Add(-time.Second), ended))
}

// handles counts the open files of the collector, all and those of the kernel's by kind,
// and its mappings of BPF maps. Maps of a MiB are left out: they hold unwind tables, and
// there are as many as the programs that run need.
func (c *collector) handles() map[string]int {
	c.t.Helper()
	const mib = 1 << 20
	out := map[string]int{}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", c.process.Pid))
	require.NoError(c.t, err)
	for _, link := range links {
		target, _ := os.Readlink(link) // one may just have been closed
		info, _ := os.ReadFile(strings.Replace(link, "/fd/", "/fdinfo/", 1))
		if strings.Contains(string(info), fmt.Sprintf("\nvalue_size:\t%d\n", mib)) {
			continue
		}
		out["all"]++
		if kind, ok := strings.CutPrefix(target, "anon_inode:"); ok {
			out[kind]++
		}
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", c.process.Pid))
	require.NoError(c.t, err)
	for line := range strings.Lines(string(maps)) {
		var start, end uint64
		_, err := fmt.Sscanf(line, "%x-%x", &start, &end)
		require.NoError(c.t, err, line)
		if strings.Contains(line, "anon_inode:bpf-map") && end-start != mib {
			out["mapped"]++
		}
	}
	return out
}
