// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package guest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// With a hundred PIDs each is given away again within a second or so.
func TestPIDsThatWrapAreNotMixed(t *testing.T) {
	lives := workloads.BuildLives(t)
	set(t, "/proc/sys/kernel/pid_max", 400)
	p := start(t, 0)
	// Forks between the two programs move on through the PIDs.
	lives.Run(t, "repeat 300 ( fork ( exec %s burn 1 6 ) repeat 5 ( fork ( ) ) fork ( exec %s burn 2 6 ) repeat 4 ( fork ( ) ) )",
		lives.Alpha, lives.Beta)
	require.Eventually(t, func() bool { return p.metric(t, "processes") <= existing(t)+5 }, 60*time.Second, 500*time.Millisecond)
	p.requireClosed(t)
	require.NoError(t, p.Shutdown(t.Context()))

	right, instances := 0, map[string]map[string]bool{}
	workloads.EachSample(p.sink.AllProfiles(), lives.ByAddress, func(a pcommon.Map, slot string, n int) {
		if slot == "" {
			return
		}
		name, _ := a.Get("process.executable.name")
		require.Equal(t, name.Str(), workloads.ProgramOf(slot))
		created, _ := a.Get("process.creation.time")
		if instances[created.Str()] == nil {
			instances[created.Str()] = map[string]bool{}
		}
		instances[created.Str()][slot] = true
		right += n
	})
	pids := map[int64]int{}
	workloads.EachSample(p.sink.AllProfiles(), lives.ByAddress, func(a pcommon.Map, slot string, _ int) {
		if pid, ok := a.Get("process.pid"); ok && slot != "" {
			pids[pid.Int()]++
		}
	})
	t.Logf("%d samples right, %d instances on %d PIDs", right, len(instances), len(pids))
	require.Greater(t, right, 200, "the test has no power")
	require.Greater(t, len(instances), 2*len(pids), "no PID was reused: the test has no power")
	for created, slots := range instances {
		require.Len(t, slots, 1, created)
	}
}
