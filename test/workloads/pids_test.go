// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package workloads_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// A PID is not free while a process has it, nor while the group and the session of that
// process outlive it.
func TestFreePIDsAreFree(t *testing.T) {
	roottest.Need(t)
	const pids = 48
	lives := workloads.BuildLives(t)
	outlived := filepath.Join(t.TempDir(), "outlived")
	require.NoError(t, os.WriteFile(outlived, []byte("#!/bin/sh\nsleep 60 >/dev/null 2>&1 &\n"), 0o700))
	take := map[string]func(t *testing.T, pid int){
		"process": func(t *testing.T, pid int) {
			starter := exec.Command(lives.Alpha, strings.Fields(fmt.Sprintf("at %d ( sleep 60000 )", pid))...)
			require.NoError(t, starter.Start())
			require.Eventually(t, func() bool { return syscall.Kill(pid, 0) == nil }, 10*time.Second, time.Millisecond)
			t.Cleanup(func() {
				require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
				require.Error(t, starter.Wait())
			})
		},
		"group and session": func(t *testing.T, pid int) {
			lives.Run(t, "at %d ( exec /usr/bin/setsid %s )", pid, outlived)
			require.NoDirExists(t, filepath.Join("/proc", strconv.Itoa(pid)))
			t.Cleanup(func() { require.NoError(t, syscall.Kill(-pid, syscall.SIGKILL)) })
		},
	}
	for kind, take := range take {
		for _, into := range []int{0, 20, pids - 1} {
			t.Run(fmt.Sprint(kind, " ", into), func(t *testing.T) {
				taken := workloads.FreePIDs(t, pids) + into
				take(t, taken)
				first := workloads.FreePIDs(t, pids)
				require.False(t, first <= taken && taken < first+pids, "%d is among %d from %d", taken, pids, first)
				for i := range pids {
					lives.Run(t, "at %d ( )", first+i)
				}
			})
		}
	}
}
