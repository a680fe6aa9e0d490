// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/otlpcheck"
)

// With the host as the resource, samples tell their process, their thread and their CPU.
func TestTheHostAsTheResource(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	s := fast()
	s.Placement = pipeline.Placement{ResourceBy: pipeline.ByHost, Samples: pipeline.OfSamples}
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, s, sink)
	const cpu = "0"
	pinned := exec.Command("taskset", "-c", cpu, "sh", "-c", "exec timeout 6 sh -c 'while :; do :; done'")
	require.Error(t, pinned.Run(), "timeout ends it")
	require.NoError(t, r.Shutdown(t.Context()))

	samples, complete := 0, 0
	for _, p := range sink.AllProfiles() {
		require.NoError(t, otlpcheck.Check(p))
		require.Equal(t, 1, p.ResourceProfiles().Len())
		require.Zero(t, p.ResourceProfiles().At(0).Resource().Attributes().Len())
	}
	eachSample(sink.AllProfiles(), func(_ pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		told := map[string]string{}
		for _, i := range s.AttributeIndices().All() {
			a := d.AttributeTable().At(int(i))
			told[d.StringTable().At(int(a.KeyStrindex()))] = a.Value().AsString()
		}
		if told["process.parent_pid"] != strconv.Itoa(pinned.Process.Pid) || told["thread.name"] != "sh" {
			return
		}
		samples += s.TimestampsUnixNano().Len()
		require.NotEmpty(t, told["ebpf_profiler.stack_end"])
		if told["ebpf_profiler.stack_end"] == "complete" {
			complete += s.TimestampsUnixNano().Len()
		}
		require.Equal(t, cpu, told["cpu.logical_number"])
		require.Equal(t, told["process.pid"], told["thread.id"])
		require.NotEmpty(t, told["process.executable.path"])
		require.NotEmpty(t, told["process.creation.time"])
	})
	require.Greater(t, samples, 20, "of 582")
	require.Greater(t, complete, samples/2)
}
