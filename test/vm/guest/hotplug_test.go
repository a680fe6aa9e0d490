// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package guest

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

const cpu1 = "/sys/devices/system/cpu/cpu1/online"

// burn keeps CPU 1 busy in a slot.
func burn(t *testing.T, lives *workloads.Lives, slot int) {
	t.Helper()
	var before, only unix.CPUSet
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.NoError(t, unix.SchedGetaffinity(0, &before))
	only.Set(1)
	require.NoError(t, unix.SchedSetaffinity(0, &only))
	lives.Run(t, "burn %d 2000", slot)
	require.NoError(t, unix.SchedSetaffinity(0, &before))
}

// A CPU that comes online is sampled, one that leaves holds nothing up, and it
// is sampled again when it is back.
func TestHotplug(t *testing.T) {
	lives := workloads.BuildLives(t)
	set(t, cpu1, 0)
	p := start(t, 0)
	settle := func() { time.Sleep(3 * time.Second) }
	settle()
	require.NoError(t, os.WriteFile(cpu1, []byte("1"), 0o644))
	settle()
	burn(t, lives, 1)

	require.NoError(t, os.WriteFile(cpu1, []byte("0"), 0o644))
	before := p.metric(t, "completions")
	settle()
	require.Greater(t, p.metric(t, "completions"), before+2, "W follows the clock")

	require.NoError(t, os.WriteFile(cpu1, []byte("1"), 0o644))
	settle()
	burn(t, lives, 2)
	require.Zero(t, p.metric(t, "lifecycle_lost"))
	require.Positive(t, p.metric(t, "mappings_lost"), "what was mapped there meanwhile went unseen")
	p.requireClosed(t)
	require.NoError(t, p.Shutdown(t.Context()))

	samples := map[string]int{}
	workloads.EachSample(p.sink.AllProfiles(), lives.ByAddress, func(_ pcommon.Map, slot string, n int) {
		samples[slot] += n
	})
	t.Log(samples)
	for _, slot := range []string{"alpha_slot_1", "alpha_slot_2"} {
		require.Greater(t, samples[slot], 499*2/5, "%s was sampled at a fifth of the rate at least", slot)
	}
}
