// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// Who is rejected sends nothing, by both samplers; another generation, another start and
// who is admitted again do.
func TestRejectedLivesSendNothing(t *testing.T) {
	for _, inParts := range []bool{false, true} {
		k := open(t, Settings{SamplesPerSecond: 997, PollInterval: time.Second, MaxRejected: 2, walkInParts: inParts})
		busy := exec.Command("sh", "-c", "while :; do :; done")
		require.NoError(t, busy.Start())
		t.Cleanup(func() {
			require.NoError(t, busy.Process.Kill())
			_ = busy.Wait()
		})
		samples := func() (n int, id event.LifeID) {
			var batch event.Batch
			drainAll(k, &batch)
			batch = event.Batch{}
			time.Sleep(300 * time.Millisecond)
			drainAll(k, &batch)
			for _, s := range batch.Samples {
				if s.Proc.PID == uint32(busy.Process.Pid) {
					n, id = n+1, event.LifeID{Proc: s.Proc, Generation: s.Generation}
				}
			}
			return n, id
		}
		n, id := samples()
		require.Positive(t, n)
		older, former := id, id
		older.Proc.Start--
		former.Generation--
		require.NoError(t, k.Reject(older))
		require.NoError(t, k.Reject(former))
		n, _ = samples()
		require.Positive(t, n)
		require.ErrorIs(t, k.Reject(id), unix.E2BIG, "there is a bound")
		require.NoError(t, k.Readmit(older))
		require.NoError(t, k.Readmit(older))
		require.NoError(t, k.Reject(id))
		require.NoError(t, k.Reject(id))
		before, err := k.Counters()
		require.NoError(t, err)
		n, _ = samples()
		require.LessOrEqual(t, n, 1)
		after, err := k.Counters()
		require.NoError(t, err)
		require.Greater(t, after.Filtered, before.Filtered+20)
		require.NoError(t, k.Readmit(id))
		n, _ = samples()
		require.Positive(t, n)
	}
}

// How long the sampler runs for a sample that it sends, with and without a filter, and for
// one that it drops. Stacks are 20 calls deep.
func BenchmarkFilter(b *testing.B) {
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	require.NoError(b, err)
	defer stats.Close()
	p := openProgram(b, workloads.BuildDeep(b, "-static", "-no-pie"))
	for _, bb := range []struct {
		name     string
		settings Settings
		reject   bool
	}{
		{"no filter", Settings{}, false},
		{"sent", Settings{MaxRejected: 32768, MinAge: time.Nanosecond}, false},
		{"rejected", Settings{MaxRejected: 32768}, true},
		{"too young", Settings{MinAge: time.Hour}, false},
	} {
		b.Run(bb.name, func(b *testing.B) {
			bb.settings.SamplesPerSecond, bb.settings.PollInterval = 997, 2*time.Second
			k := open(b, bb.settings)
			for proc := range p.occupy(b, k, 20) {
				if bb.reject {
					require.NoError(b, k.Reject(generationOf(b, k, proc)))
				}
			}
			before, from := runs(b, k)
			for b.Loop() {
				time.Sleep(time.Second)
			}
			after, to := runs(b, k)
			ns := float64((after.Runtime - before.Runtime).Nanoseconds()) / float64(after.RunCount-before.RunCount)
			b.ReportMetric(ns, "ns/sample")
			b.ReportMetric(100*float64(to.Filtered-from.Filtered)/float64(to.Taken()-from.Taken()), "%filtered")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func runs(b *testing.B, k *Kernel) (*ebpf.ProgramStats, Counters) {
	b.Helper()
	stats, err := k.objects.SampleCpu.Stats()
	require.NoError(b, err)
	counters, err := k.Counters()
	require.NoError(b, err)
	return stats, counters
}

func generationOf(b *testing.B, k *Kernel, proc event.ProcID) event.LifeID {
	b.Helper()
	tasks, err := k.Tasks()
	require.NoError(b, err)
	i := slices.IndexFunc(tasks, func(t event.Task) bool { return t.Proc == proc })
	require.GreaterOrEqual(b, i, 0)
	return event.LifeID{Proc: proc, Generation: tasks[i].Generation}
}
