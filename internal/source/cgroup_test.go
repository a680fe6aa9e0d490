// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// newGroup makes a control group in a hierarchy of a kind and returns its directory and id: that
// of version 2, or of version 1 with a controller.
func newGroup(t *testing.T, kind, controller string) (dir string, id uint64) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	for line := range strings.SplitSeq(string(mounts), "\n") {
		f := strings.Fields(line)
		if len(f) < 4 || f[2] != kind || controller != "" && !slices.Contains(strings.Split(f[3], ","), controller) {
			continue
		}
		dir = filepath.Join(f[1], fmt.Sprint("records-", os.Getpid()))
		require.NoError(t, os.Mkdir(dir, 0o755))
		t.Cleanup(func() {
			require.Eventually(t, func() bool { return os.Remove(dir) == nil }, 5*time.Second, 10*time.Millisecond)
		})
		var s unix.Stat_t
		require.NoError(t, unix.Stat(dir, &s))
		return dir, s.Ino // kernfs: an inode's number is its id
	}
	roottest.Lacks(t, "there is no ", kind, " ", controller)
	return "", 0
}

// Forks and execs name the control groups of both hierarchies.
func TestLifecyclesNameTheirControlGroups(t *testing.T) {
	roottest.Need(t)
	const controller = "memory"
	unified, u := newGroup(t, "cgroup2", "")
	legacy, l := newGroup(t, "cgroup", controller)
	k := open(t, Settings{SamplesPerSecond: 1, PollInterval: time.Second, LegacyController: controller})
	sh := exec.Command("sh", "-c", fmt.Sprintf("echo $$ > %s/cgroup.procs; echo $$ > %s/cgroup.procs; /bin/true; exec /bin/true", unified, legacy))
	require.NoError(t, sh.Run())
	want, seen := event.CgroupID{Unified: u, Legacy: l}, map[event.Kind]int{}
	for _, r := range drained(t, k).Lifecycle {
		pid := uint32(sh.Process.Pid)
		switch {
		case r.Kind == event.Fork && r.Parent.PID == pid, r.Kind == event.Exec && r.Proc.PID == pid && r.Comm.String() == "true":
			require.Equal(t, want, r.Cgroup)
			seen[r.Kind]++
		}
	}
	require.Equal(t, map[event.Kind]int{event.Fork: 1, event.Exec: 1}, seen)
}
