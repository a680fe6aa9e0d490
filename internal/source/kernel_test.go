// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

func open(t testing.TB, s Settings) *Kernel {
	t.Helper()
	roottest.Need(t)
	k, err := Open(s)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Close()) })
	return k
}

func TestTheBarrierWaits(t *testing.T) {
	roottest.Need(t)
	for range 5 {
		require.NoError(t, testBarrier())
	}
}

func TestEverySampleTakenIsDrained(t *testing.T) {
	opened := time.Now()
	k := open(t, Settings{SamplesPerSecond: 997, PollInterval: 10 * time.Millisecond})
	start := time.Now()
	var batch event.Batch
	for time.Since(start) < time.Second {
		time.Sleep(10 * time.Millisecond)
		drainAll(k, &batch)
	}
	var clocks []*clock
	for _, c := range k.cpus {
		clocks = append(clocks, c.clock)
	}
	before := k.Now()
	require.NoError(t, k.Stop())
	after, stopped := k.Now(), time.Now()
	for i, c := range k.cpus {
		// The event's own time, in samples. It began a moment before we knew.
		require.GreaterOrEqual(t, c.retired+1, clocks[i].expected(before))
		require.LessOrEqual(t, c.retired, clocks[i].expected(after)+5)
	}
	require.NoError(t, k.Barrier())
	drainAll(k, &batch)
	c, err := k.Counters()
	require.NoError(t, err)
	t.Logf("%+v, batch %d samples %d lifecycle", c, len(batch.Samples), len(batch.Lifecycle))
	require.Equal(t, c.Submitted, uint64(len(batch.Samples)))
	require.Zero(t, c.RingFull)
	require.Zero(t, c.Undecoded)
	perSecond := 997 * float64(len(k.cpus))
	require.Greater(t, float64(c.Expected()), perSecond*0.99)
	require.Less(t, float64(c.Expected()), perSecond*stopped.Sub(opened).Seconds()*1.01)
	tasks, err := k.Tasks()
	require.NoError(t, err)
	t.Log(len(tasks), tasks[0].Comm, k.Now())
	for _, s := range batch.Samples[:min(5, len(batch.Samples))] {
		t.Logf("%d %v %s kernel %d user %d %d", s.KTime, s.Proc, s.Comm, len(s.Kernel), len(s.User), s.UserStack)
	}
}
