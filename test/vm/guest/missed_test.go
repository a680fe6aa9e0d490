// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

package guest

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// begin lives a script on CPU 0, as a real-time task or as an ordinary one.
func begin(t *testing.T, realtime bool, program, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, strings.Fields(script)...)
	var before, only unix.CPUSet
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.NoError(t, unix.SchedGetaffinity(0, &before))
	only.Set(0)
	require.NoError(t, unix.SchedSetaffinity(0, &only))
	require.NoError(t, cmd.Start())
	require.NoError(t, unix.SchedSetaffinity(0, &before))
	if realtime {
		require.NoError(t, unix.SchedSetAttr(cmd.Process.Pid, &unix.SchedAttr{
			Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 10,
		}, 0))
	}
	return cmd
}

// preemptible is whether the kernel lets a task be preempted inside of a program at a
// tracepoint: since v7.0 (__bpf_trace_run in kernel/trace/bpf_trace.c).
func preemptible(t *testing.T) bool {
	t.Helper()
	var name unix.Utsname
	require.NoError(t, unix.Uname(&name))
	return name.Release[0] >= '7' || name.Release[1] != '.'
}

// skipped is how many runs of the lifecycle programs the kernel skipped.
func skipped(t *testing.T) (n uint64) {
	t.Helper()
	for id, err := ebpf.ProgramGetNextID(0); err == nil; id, err = ebpf.ProgramGetNextID(id) {
		program, err := ebpf.NewProgramFromID(id)
		require.NoError(t, err)
		info, err := program.Info()
		require.NoError(t, err)
		stats, err := program.Stats()
		require.NoError(t, err)
		require.NoError(t, program.Close())
		if strings.HasPrefix(info.Name, "process_") {
			n += stats.RecursionMisses
		}
	}
	return n
}

// A real-time task that wakes up and forks preempts another that forks all the time,
// also inside of the programs that tell of forks, execs and exits: the kernel skips
// their second run. What it does not tell of is found by listing what exists. Where
// programs are not preempted, none is skipped.
func TestSkippedRunsOfProgramsNeitherLeakNorLie(t *testing.T) {
	lives := workloads.BuildLives(t)
	p := start(t, 4<<20)
	const forever = "repeat 1000000 "
	storm := begin(t, false, lives.Alpha, forever+"( repeat 5 ( fork ( ) ) fork ( exec "+lives.Alpha+" burn 1 4 ) )")
	preempting := begin(t, true, lives.Beta, forever+"( sleep 4 fork ( ) sleep 4 fork ( exec "+lives.Beta+" burn 2 1 ) )")
	for began := time.Now(); time.Since(began) < 20*time.Second ||
		preemptible(t) && skipped(t) == 0 && time.Since(began) < 2*time.Minute; {
		time.Sleep(time.Second)
	}
	for _, cmd := range []*exec.Cmd{storm, preempting} {
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	}

	known := func() int64 { return p.metric(t, "processes") }
	require.Eventually(t, func() bool { return known() <= existing(t)+5 }, 60*time.Second, 500*time.Millisecond,
		"%d known, %d exist", known(), existing(t))
	p.requireClosed(t)
	require.Eventually(t, func() bool { return p.metric(t, "lifecycle_lost") == int64(skipped(t)) }, 60*time.Second, 500*time.Millisecond,
		"as of the last completion")
	is, misses := p.metrics(t), skipped(t)
	require.NoError(t, p.Shutdown(t.Context()))
	right := 0
	workloads.EachSample(p.sink.AllProfiles(), lives.ByAddress, func(a pcommon.Map, slot string, n int) {
		if name, ok := a.Get("process.executable.name"); ok && slot != "" {
			require.Equal(t, workloads.ProgramOf(slot), name.Str())
			right += n
		}
	})
	t.Logf("%d runs skipped, %d records lost, %d reconciliations, %d samples right",
		misses, is["lifecycle_lost"], is["reconciliations"], right)
	require.Greater(t, right, 20, "the test has no power")
	require.EqualValues(t, misses, is["lifecycle_lost"])
	if preemptible(t) {
		require.Positive(t, misses, "no run was skipped: the test has no power")
		require.Positive(t, is["reconciliations"])
	} else {
		require.Zero(t, misses)
	}
}
