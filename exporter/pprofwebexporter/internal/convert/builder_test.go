// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/profiletest"
)

var cpu = convert.Kind{Type: "samples", Unit: "count", PeriodType: "cpu", PeriodUnit: "nanoseconds"}

func all(int) bool { return true }

// build converts messages, and reads back what pprof writes of the result.
func build(t testing.TB, kind convert.Kind, messages ...pprofile.Profiles) *profile.Profile {
	t.Helper()
	b := convert.NewBuilder(kind)
	for _, m := range messages {
		require.NoError(t, convert.Check(m))
		require.NoError(t, b.Add(m, all))
	}
	p := b.Profile()
	require.NoError(t, p.CheckValid())
	var buf bytes.Buffer
	require.NoError(t, p.Write(&buf))
	out, err := profile.Parse(&buf)
	require.NoError(t, err)
	return out
}

func TestConversionKeepsEverything(t *testing.T) {
	p := profiletest.CPU("server", 42, 1000)
	p.Attributes["container.id"] = "c0ffee"
	p.Attributes["service.name"] = "shop"
	p.Attributes["process.command_args"] = "--password=secret"
	p.Samples = []profiletest.Sample{{
		Timestamps: 3,
		Attributes: map[string]any{"thread.id": 43, "thread.name": "worker", "cpu.logical_number": 1},
		Frames: []profiletest.Frame{
			{
				Address: 0x2010,
				Mapping: profiletest.Mapping{Start: 0x2000, Limit: 0x3000, Offset: 0x1000, File: "/bin/server", GNU: "abcd", HTL: "ffff"},
				Lines: []profiletest.Line{
					{Function: "inner", System: "_Zinner", File: "a.cc", Start: 5, Line: 7, Column: 9},
					{Function: "outer", File: "a.cc", Line: 20},
				},
			},
			{Address: 0x99, Mapping: profiletest.Mapping{File: "/lib/x.so", HTL: "eeee"}},
		},
	}}

	got := build(t, cpu, profiletest.Build(p))

	assert.Equal(t, []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}, got.SampleType)
	assert.Equal(t, "cpu", got.DefaultSampleType)
	assert.Equal(t, &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, got.PeriodType)
	assert.EqualValues(t, 10_000_000, got.Period)
	assert.EqualValues(t, 1000, got.TimeNanos)
	assert.EqualValues(t, 5*profiletest.Second, got.DurationNanos)

	require.Len(t, got.Mapping, 2)
	m := got.Mapping[0]
	assert.Equal(t, []any{uint64(0x2000), uint64(0x3000), uint64(0x1000), "/bin/server", "abcd", true},
		[]any{m.Start, m.Limit, m.Offset, m.File, m.BuildID, m.HasFunctions})
	assert.Equal(t, []any{"/lib/x.so", "eeee", false},
		[]any{got.Mapping[1].File, got.Mapping[1].BuildID, got.Mapping[1].HasFunctions})

	require.Len(t, got.Sample, 1)
	s := got.Sample[0]
	assert.Equal(t, []int64{3, 30_000_000}, s.Value)
	assert.Equal(t, map[string][]string{
		"process": {"server"}, "container": {"c0ffee"}, "service": {"shop"}, "comm": {"worker"},
	}, s.Label)
	assert.Equal(t, map[string][]int64{"pid": {42}, "thread": {43}, "cpu.logical_number": {1}}, s.NumLabel)

	require.Len(t, s.Location, 2)
	assert.EqualValues(t, 0x2010, s.Location[0].Address)
	assert.Same(t, m, s.Location[0].Mapping)
	require.Len(t, s.Location[0].Line, 2)
	inner, outer := s.Location[0].Line[0], s.Location[0].Line[1]
	assert.Equal(t, profile.Function{ID: 1, Name: "inner", SystemName: "_Zinner", Filename: "a.cc", StartLine: 5}, *inner.Function)
	assert.Equal(t, []int64{7, 9}, []int64{inner.Line, inner.Column})
	assert.Equal(t, profile.Function{ID: 2, Name: "outer", SystemName: "outer", Filename: "a.cc"}, *outer.Function)
	assert.EqualValues(t, 20, outer.Line)
	assert.Empty(t, s.Location[1].Line, "a file that has no names stays without, for those who do")
}

func TestEqualSamplesOfSeveralMessagesAreOne(t *testing.T) {
	first := profiletest.Build(profiletest.CPU("a", 1, 1000, profiletest.Stack(2, "f", "main"), profiletest.Stack(1, "g", "main")))
	// The same dictionary in another order.
	second := profiletest.Build(profiletest.CPU("a", 1, 2000, profiletest.Stack(4, "g", "main"), profiletest.Stack(8, "f", "main")))
	other := profiletest.Build(profiletest.CPU("b", 2, 3000, profiletest.Stack(16, "f", "main")))

	got := build(t, cpu, first, second, other)

	assert.Equal(t, map[string]int64{"a;main;f": 10, "a;main;g": 5, "b;main;f": 16}, folded(got))
	assert.Len(t, got.Sample, 3)
	assert.Len(t, got.Function, 3)
	assert.Len(t, got.Mapping, 1)
	assert.EqualValues(t, 1000, got.TimeNanos)
	assert.EqualValues(t, 2000+5*profiletest.Second, got.DurationNanos, "from the first to the end of the last")
	got = build(t, cpu, other, first)
	assert.Equal(t, []int64{1000, 2000 + 5*profiletest.Second}, []int64{got.TimeNanos, got.DurationNanos}, "in any order")
}

// folded counts samples by process and functions.
func folded(p *profile.Profile) map[string]int64 {
	counts := map[string]int64{}
	for _, s := range p.Sample {
		line := ""
		for _, l := range s.Label["process"] {
			line = l
		}
		for i := len(s.Location) - 1; i >= 0; i-- {
			for j := len(s.Location[i].Line) - 1; j >= 0; j-- {
				line += ";" + s.Location[i].Line[j].Function.Name
			}
		}
		counts[line] += s.Value[0]
	}
	return counts
}

func TestKindsAreNotMixed(t *testing.T) {
	offCPU := profiletest.Profile{
		Attributes: map[string]any{"process.executable.name": "a"}, Type: "off_cpu", Unit: "nanoseconds",
		Samples: []profiletest.Sample{{Values: []int64{5, 6}, Timestamps: 2}},
	}
	message := profiletest.Build(offCPU, profiletest.CPU("a", 1, 1, profiletest.Stack(1, "f")))

	got := build(t, convert.Kind{Type: "off_cpu", Unit: "nanoseconds"}, message)

	require.Len(t, got.Sample, 1)
	assert.Equal(t, []int64{11}, got.Sample[0].Value, "values count, not their timestamps")
	assert.Equal(t, []*profile.ValueType{{Type: "off_cpu", Unit: "nanoseconds"}}, got.SampleType)
	assert.Len(t, build(t, cpu, message).Sample, 1)
}

func TestOnlyResourcesThatAreKeptCount(t *testing.T) {
	message := profiletest.Build(profiletest.CPU("a", 1, 1, profiletest.Stack(1, "f")),
		profiletest.CPU("b", 2, 1, profiletest.Stack(2, "f")))
	b := convert.NewBuilder(cpu)

	require.NoError(t, b.Add(message, func(i int) bool { return i == 1 }))

	assert.Equal(t, map[string]int64{"b;f": 2}, folded(b.Profile()))
}

func TestWhatASampleSaysWins(t *testing.T) {
	p := profiletest.CPU("a", 1, 1, profiletest.Stack(1, "f"))
	p.Attributes["service.name"] = "of the resource"
	p.Samples[0].Attributes = map[string]any{"service.name": "of the sample", "process.pid": 5}

	got := build(t, cpu, profiletest.Build(p))

	assert.Equal(t, []string{"of the sample"}, got.Sample[0].Label["service"])
	assert.Equal(t, []int64{5}, got.Sample[0].NumLabel["pid"])
}

func TestSamplesDoNotShareAttributes(t *testing.T) {
	p := profiletest.CPU("a", 1, 1, profiletest.Stack(1, "f"), profiletest.Stack(1, "g"))
	p.Samples[0].Attributes = map[string]any{"thread.name": "first"}

	got := build(t, cpu, profiletest.Build(p))

	require.Len(t, got.Sample, 2)
	assert.Equal(t, []string{"first"}, got.Sample[0].Label["comm"])
	assert.NotContains(t, got.Sample[1].Label, "comm")
}

func TestDeepStacksAreCutAndSaySo(t *testing.T) {
	functions := make([]string, 3000)
	for i := range functions {
		functions[i] = "f"
	}

	got := build(t, cpu, profiletest.Build(profiletest.CPU("a", 1, 1, profiletest.Stack(1, functions...))))

	require.Len(t, got.Sample[0].Location, 2049)
	assert.Equal(t, "[truncated]", got.Sample[0].Location[2048].Line[0].Function.Name)
}

func TestLongNamesCountForMore(t *testing.T) {
	name := strings.Repeat("x", 1<<20)
	var frames []string
	for range 300 {
		frames = append(frames, name)
	}
	message := profiletest.Build(profiletest.CPU("a", 1, 1, profiletest.Stack(1, frames...)))

	require.ErrorIs(t, convert.NewBuilder(cpu).Add(message, all), convert.ErrTooLarge)
}

// Few bytes can stand for many frames: the same location, of many inlined calls,
// in many stacks.
func TestAProfileIsBounded(t *testing.T) {
	location := profiletest.Frame{Address: 1}
	for range 3000 {
		location.Lines = append(location.Lines, profiletest.Line{Function: "f"})
	}
	message := profiletest.Build(profiletest.CPU("a", 1, 1, profiletest.Sample{Timestamps: 1, Frames: []profiletest.Frame{location}}))
	d, samples := message.Dictionary(), message.ResourceProfiles().At(0).ScopeProfiles().At(0).Profiles().At(0).Samples()
	for depth := 2; depth < 100; depth++ {
		stack := d.StackTable().AppendEmpty()
		for range depth {
			stack.LocationIndices().Append(1)
		}
		s := samples.AppendEmpty()
		s.SetStackIndex(int32(d.StackTable().Len() - 1))
		s.Values().Append(1)
	}
	require.NoError(t, convert.Check(message))

	require.ErrorIs(t, convert.NewBuilder(cpu).Add(message, all), convert.ErrTooLarge)
}

func TestEmptyTablesAreNoError(t *testing.T) {
	message := pprofile.NewProfiles()
	p := message.ResourceProfiles().AppendEmpty().ScopeProfiles().AppendEmpty().Profiles().AppendEmpty()
	p.Samples().AppendEmpty().Values().Append(7)

	got := build(t, convert.Kind{}, message)

	require.Len(t, got.Sample, 1)
	assert.Equal(t, []int64{7}, got.Sample[0].Value)
}
