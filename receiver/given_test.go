// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// script burns as a shell, as its fork, and after an exec with other arguments
// and another environment.
const script = `burn() { n=0; while [ $n -lt 400000 ]; do n=$((n+1)); done; }
burn; ( burn; : ); COLOR=green HIDDEN=2 exec sh -c "$1" again`

const burnOn = `n=0; while [ $n -lt 400000 ]; do n=$((n+1)); done`

// What a process was started with belongs to one generation of it, and to its
// forks.
func TestWhatProcessesWereStartedWith(t *testing.T) {
	roottest.InTime(t)
	s := fast()
	s.SamplesPerSecond = 499
	s.CommandArgs, s.Variables = true, []string{"COLOR", "ABSENT"}
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, s, sink)
	shell := exec.Command("sh", "-c", script, "first", burnOn, "", "last")
	shell.Env = []string{"PATH=/usr/bin:/bin", "HIDDEN=1", "COLOR=blue"}
	require.NoError(t, shell.Run())
	time.Sleep(2 * s.ReporterInterval)
	require.NoError(t, r.Shutdown(t.Context()))

	first := []any{"sh", "-c", script, "first", burnOn, "", "last"}
	second := []any{"sh", "-c", burnOn, "again"}
	generations := map[string]int{}
	for _, profiles := range sink.AllProfiles() {
		for _, rp := range profiles.ResourceProfiles().All() {
			is := rp.Resource().Attributes().AsRaw()
			pid, parent := is["process.pid"], is["process.parent_pid"]
			ours := pid == int64(shell.Process.Pid)
			if !ours && parent != int64(shell.Process.Pid) {
				continue
			}
			require.NotContains(t, is, "process.environment_variable.HIDDEN")
			require.NotContains(t, is, "process.environment_variable.ABSENT")
			samples := rp.ScopeProfiles().At(0).Profiles().At(0).Samples().Len()
			switch is["process.environment_variable.COLOR"] {
			case "blue":
				require.Equal(t, first, is["process.command_args"])
				generations[map[bool]string{true: "first", false: "fork"}[ours]] += samples
			case "green":
				require.True(t, ours)
				require.Equal(t, second, is["process.command_args"])
				generations["second"] += samples
			default:
				require.NotContains(t, is, "process.command_args")
				generations["unknown"] += samples
			}
		}
	}
	t.Log(generations)
	for _, generation := range []string{"first", "fork", "second"} {
		require.Positive(t, generations[generation], generation)
	}
	require.Less(t, generations["unknown"], generations["first"]+generations["fork"]+generations["second"])
}

// Without being asked the receiver tells neither.
func TestWhatProcessesWereStartedWithIsNotTold(t *testing.T) {
	sink := &consumertest.ProfilesSink{}
	s := fast()
	s.SamplesPerSecond = 499
	r := startKernel(t, s, sink)
	burn(t)
	time.Sleep(3 * s.ReporterInterval)
	require.NoError(t, r.Shutdown(t.Context()))
	require.NotEmpty(t, sink.AllProfiles())
	for _, profiles := range sink.AllProfiles() {
		for _, rp := range profiles.ResourceProfiles().All() {
			for key := range rp.Resource().Attributes().All() {
				require.NotRegexp(t, `command_args|environment_variable`, key)
			}
		}
	}
}
