// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestTasksTellWhoHasExited(t *testing.T) {
	k := open(t, Settings{SamplesPerSecond: 1, PollInterval: time.Second, RingBufferSize: 1 << 16})
	zombie := exec.Command("true")
	require.NoError(t, zombie.Start())
	t.Cleanup(func() { _ = zombie.Wait() })
	require.NoError(t, unix.Waitid(unix.P_PID, zombie.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil))
	tasks, err := k.Tasks()
	require.NoError(t, err)
	exiting := map[uint32]bool{}
	for _, task := range tasks {
		exiting[task.Proc.PID] = task.Exiting
	}
	require.Contains(t, exiting, uint32(zombie.Process.Pid))
	require.True(t, exiting[uint32(zombie.Process.Pid)])
	require.Contains(t, exiting, uint32(os.Getpid()))
	require.False(t, exiting[uint32(os.Getpid())])
}
