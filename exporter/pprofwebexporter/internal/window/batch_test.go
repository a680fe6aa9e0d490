// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package window_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/profiletest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/window"
)

var cpu = convert.Kind{Type: "samples", Unit: "count", PeriodType: "cpu", PeriodUnit: "nanoseconds"}

func TestABatchKnowsWhatItIsAbout(t *testing.T) {
	p := profiletest.CPU("server", 42, 100, profiletest.Stack(2, "f"), profiletest.Stack(3, "g"))
	for key, value := range map[string]any{
		"process.executable.path": "/bin/server", "process.creation.time": "2026-01-02T03:04:05Z", "host.name": "h",
		"container.id": "c", "service.name": "s", "k8s.pod.name": "p", "service.instance.id": "i",
	} {
		p.Attributes[key] = value
	}

	b := batch(t, p, profiletest.CPU("client", 43, 200))

	assert.EqualValues(t, 100, b.Start)
	assert.EqualValues(t, 200+5*profiletest.Second, b.End)
	assert.Equal(t, 2, b.Samples)
	require.Len(t, b.Shares, 2)
	server := b.Shares[0].Process
	assert.Len(t, server.Key, 16)
	assert.Len(t, server.Program, 16)
	server.Key, server.Program = "", ""
	assert.Equal(t, window.Process{
		Name: "server", Path: "/bin/server", PID: "42", Created: "2026-01-02T03:04:05Z", Host: "h",
		Container: "c", Service: "s", Pod: "p", ServiceInstance: "i",
	}, server)
	assert.Equal(t, []any{0, cpu, int64(50_000_000)}, []any{b.Shares[0].Resource, b.Shares[0].Kind, b.Shares[0].Value})
	assert.Equal(t, []any{1, cpu, int64(0)}, []any{b.Shares[1].Resource, b.Shares[1].Kind, b.Shares[1].Value})
}

// A PID is given again: what tells processes apart is their start.
func TestProcessesOfOnePIDHaveKeysOfTheirOwn(t *testing.T) {
	first, again, second := profiletest.CPU("a", 1, 100), profiletest.CPU("a", 1, 200), profiletest.CPU("a", 1, 300)
	first.Attributes["process.creation.time"] = "1"
	again.Attributes["process.creation.time"] = "1"
	second.Attributes["process.creation.time"] = "2"

	b := batch(t, first, again, second)

	assert.Equal(t, b.Shares[0].Process.Key, b.Shares[1].Process.Key)
	assert.NotEqual(t, b.Shares[0].Process.Key, b.Shares[2].Process.Key)
	assert.Equal(t, b.Shares[0].Process.Program, b.Shares[2].Process.Program)
}

func TestWhoHasNoProcessNameIsCalledByWhatThereIs(t *testing.T) {
	for want, attributes := range map[string]map[string]any{
		"shop": {"service.name": "shop", "host.name": "h"}, "pod": {"k8s.pod.name": "pod"}, "h": {"host.name": "h"}, "unknown": {},
	} {
		p := profiletest.CPU("", 0, 1)
		p.Attributes = attributes
		assert.Equal(t, want, batch(t, p).Shares[0].Process.Name)
	}
}

func TestTimesThatCannotBe(t *testing.T) {
	for _, start := range []int64{0, -5} {
		b := batch(t, profiletest.CPU("a", 1, start))
		assert.Equal(t, time.Unix(77, 0).UnixNano(), b.Start, "the time it came")
		assert.Equal(t, b.Start, b.End)
	}
	p := profiletest.CPU("a", 1, 1000)
	p.Duration = -1 // the largest there is, unsigned
	assert.EqualValues(t, 1000+int64(24*time.Hour), batch(t, p).End)
}

func TestInvalidProfilesMakeNoBatch(t *testing.T) {
	p := profiletest.Build(profiletest.CPU("a", 1, 1, profiletest.Stack(1, "f")))
	p.Dictionary().StackTable().At(1).LocationIndices().Append(99)

	_, err := window.NewBatch(p, time.Now())

	require.EqualError(t, err, "invalid profiles: stack 1 refers to location 99, of which there are 2")
}

func TestTheMessageSurvives(t *testing.T) {
	b := batch(t, profiletest.CPU("a", 7, 1, profiletest.Stack(3, "f")))

	p, err := b.Profiles()

	require.NoError(t, err)
	name, ok := p.ResourceProfiles().At(0).Resource().Attributes().Get("process.executable.name")
	require.True(t, ok)
	assert.Equal(t, "a", name.Str())
	assert.Equal(t, 1, p.SampleCount())
}
