// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"bufio"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// Processes whose arguments cannot be read for as long as they please do not keep back what is
// told of others.
func TestProcessesThatHoldReadersUp(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	if _, err := os.Stat("/dev/fuse"); err != nil {
		roottest.Lacks(t, err)
	}
	program := workloads.BuildMute(t)
	sink := &consumertest.ProfilesSink{}
	s := fast()
	s.CommandArgs = true
	r := startKernel(t, s, sink)
	for range 2 {
		mute := exec.Command(program, t.TempDir())
		mute.Stderr = os.Stderr
		out, err := mute.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, mute.Start())
		defer mute.Wait()
		defer mute.Process.Kill()
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "mute\n", line)
	}
	time.Sleep(s.ReporterInterval) // they have samples, and are to be read
	other := exec.Command("timeout", "15", "sh", "-c", "while :; do :; done", "the other")
	require.NoError(t, other.Start())
	defer other.Wait()
	defer other.Process.Signal(syscall.SIGTERM)
	require.Eventually(t, func() bool { return tellsArguments(sink, `["sh","-c","while :; do :; done","the other"]`) },
		15*time.Second, 100*time.Millisecond)

	// It says so if something cannot end.
	require.ErrorContains(t, r.Shutdown(t.Context()), "shutdown leaves a goroutine behind that is busy with a read of ")
}

func tellsArguments(sink *consumertest.ProfilesSink, arguments string) bool {
	for _, p := range sink.AllProfiles() {
		for _, rp := range p.ResourceProfiles().All() {
			if text(rp.Resource().Attributes(), "process.command_args").AsString() == arguments {
				return true
			}
		}
	}
	return false
}
