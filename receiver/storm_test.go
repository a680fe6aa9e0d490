// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"flag"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

var stormFor = flag.Duration("storm-for", 4*time.Second, "how long the storms of TestAStormOfPrograms last")

// Programs that start by the thousand: every one is known and forgotten, what is lost is
// counted, and nothing stays behind.
func TestAStormOfPrograms(t *testing.T) {
	const batch = 1000 // of one run, which takes time to begin
	roottest.InTime(t)
	lives := workloads.BuildLives(t)
	for name, script := range map[string]string{
		"paced":         fmt.Sprintf("pace %%d %d ( vfork ( exec %%s ) )", 1000*runtime.NumCPU()), // a thousand a second
		"at full speed": "repeat %d ( vfork ( exec %s ) )",
	} {
		t.Run(name, func(t *testing.T) {
			tab := startTable(t, asConfigured(19), &consumertest.ProfilesSink{})
			onEachCPU(func() { lives.Run(t, script, batch, lives.Beta) })
			tab.requireOnlyTheLiving(t)
			before, begin, from := tab.storm(t), costNow(t), time.Now()
			n := 0
			for time.Since(from) < *stormFor {
				onEachCPU(func() { lives.Run(t, script, batch, lives.Beta) })
				n += batch * runtime.NumCPU()
			}
			took := time.Since(from)
			spent := costNow(t).since(begin)
			require.Eventually(t, func() bool { return tab.storm(t).evicted-before.evicted >= int64(n) }, 20*time.Second, 100*time.Millisecond)
			tab.requireOnlyTheLiving(t)
			after := tab.storm(t)
			runtime.GC()
			held := costNow(t).heap
			t.Logf("%.0f programs/s for %.0f s, %.1f %% of a core, %.0f wake-ups/s; lost %d lifecycle records, %d of mappings; heap %+.1f MB",
				float64(n)/took.Seconds(), took.Seconds(), 100*spent.cpu.Seconds()/took.Seconds(), float64(spent.waits)/took.Seconds(),
				after.lost-before.lost, after.mappingsLost-before.mappingsLost, float64(held-begin.heap)/1e6)
			if after.mappingsLost == before.mappingsLost {
				require.GreaterOrEqual(t, after.mapped-before.mapped, int64(n), "each program is mapped")
			}
			require.Zero(t, tab.metric(t, "late_records"))
			require.NoError(t, tab.Shutdown(t.Context()))
			require.Less(t, held-begin.heap, int64(16<<20))
			// Five times what is aimed at for a thousand a second: 10 % of a core.
			require.Less(t, spent.cpu.Seconds(), 0.5*max(took.Seconds(), float64(n)/1000))
		})
	}
}

// onEachCPU does something as many times as there are CPUs, side by side.
func onEachCPU(f func()) {
	var all sync.WaitGroup
	for range runtime.NumCPU() {
		all.Go(f)
	}
	all.Wait()
}

// storm is what the metrics say that a storm changes.
type storm struct{ evicted, mapped, lost, mappingsLost int64 }

func (tab table) storm(t *testing.T) storm {
	t.Helper()
	return storm{
		tab.metric(t, "evictions"), tab.metric(t, "mappings_recorded"),
		tab.metric(t, "lifecycle_lost"), tab.metric(t, "mappings_lost"),
	}
}

// cost is what this process has used, waits are how often it was woken.
type cost struct {
	cpu         time.Duration
	waits, heap int64
}

func costNow(t *testing.T) cost {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return cost{time.Duration(u.Utime.Nano() + u.Stime.Nano()), u.Nvcsw, int64(m.HeapAlloc)}
}

func (c cost) since(before cost) cost {
	return cost{c.cpu - before.cpu, c.waits - before.waits, c.heap}
}
