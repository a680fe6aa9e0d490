// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package profiletest builds OTLP profiles for tests.
package profiletest

import (
	"maps"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// Second is in nanoseconds.
const Second = 1_000_000_000

// Profile is the one profile of a resource. Attributes are strings or ints.
type Profile struct {
	Attributes map[string]any
	// Time is in Unix nanoseconds.
	Time, Duration                     int64
	Type, Unit, PeriodType, PeriodUnit string
	Period                             int64
	Samples                            []Sample
}

// Sample has its innermost frame first. If it has no values, it has so many
// timestamps.
type Sample struct {
	Frames     []Frame
	Attributes map[string]any
	Timestamps int
	Values     []int64
}

// Frame has its innermost inlined call first.
type Frame struct {
	Address uint64
	Mapping Mapping
	Lines   []Line
}

// Mapping is a file in memory.
type Mapping struct {
	Start, Limit, Offset uint64
	File                 string
	GNU, Go, HTL         string
}

// Line is a place in a function.
type Line struct {
	Function, System, File string
	Start, Line, Column    int64
}

// CPU is a profile of samples that are 10 ms apart, and last five seconds.
func CPU(process string, pid int, time int64, samples ...Sample) Profile {
	return Profile{
		Attributes: map[string]any{"process.executable.name": process, "process.pid": pid},
		Time:       time, Duration: 5 * Second,
		Type: "samples", Unit: "count", PeriodType: "cpu", PeriodUnit: "nanoseconds", Period: Second / 100,
		Samples: samples,
	}
}

// Stack is a sample of functions in /bin/program, the innermost first.
func Stack(count int, functions ...string) Sample {
	s := Sample{Timestamps: count}
	for i, f := range functions {
		s.Frames = append(s.Frames, Frame{
			Address: 0x1000 + uint64(i),
			Mapping: Mapping{Start: 0x1000, Limit: 0x9000, File: "/bin/program", GNU: "abc123"},
			Lines:   []Line{{Function: f}},
		})
	}
	return s
}

// Build makes one message, with a resource per profile.
func Build(profiles ...Profile) pprofile.Profiles {
	b := builder{pprofile.NewProfiles(), pprofile.NewProfilesDictionary(), map[string]int32{}}
	b.d = b.p.Dictionary()
	b.text("")
	b.d.MappingTable().AppendEmpty()
	b.d.FunctionTable().AppendEmpty()
	b.d.LocationTable().AppendEmpty()
	b.d.StackTable().AppendEmpty()
	b.d.AttributeTable().AppendEmpty()
	b.d.LinkTable().AppendEmpty()
	for _, p := range profiles {
		b.profile(p)
	}
	return b.p
}

type builder struct {
	p     pprofile.Profiles
	d     pprofile.ProfilesDictionary
	texts map[string]int32
}

func (b *builder) profile(p Profile) {
	rp := b.p.ResourceProfiles().AppendEmpty()
	for key, value := range p.Attributes {
		put(rp.Resource().Attributes().PutEmpty(key), value)
	}
	out := rp.ScopeProfiles().AppendEmpty().Profiles().AppendEmpty()
	out.SetTime(pcommon.Timestamp(p.Time))
	out.SetDurationNano(uint64(p.Duration))
	out.SampleType().SetTypeStrindex(b.text(p.Type))
	out.SampleType().SetUnitStrindex(b.text(p.Unit))
	out.PeriodType().SetTypeStrindex(b.text(p.PeriodType))
	out.PeriodType().SetUnitStrindex(b.text(p.PeriodUnit))
	out.SetPeriod(p.Period)
	for _, s := range p.Samples {
		b.sample(out.Samples().AppendEmpty(), s, p.Time)
	}
}

func (b *builder) sample(out pprofile.Sample, s Sample, time int64) {
	stack := b.d.StackTable().AppendEmpty()
	for _, f := range s.Frames {
		stack.LocationIndices().Append(b.location(f))
	}
	out.SetStackIndex(int32(b.d.StackTable().Len() - 1))
	for _, key := range slices.Sorted(maps.Keys(s.Attributes)) {
		out.AttributeIndices().Append(b.attribute(key, s.Attributes[key]))
	}
	out.Values().FromRaw(s.Values)
	for i := range s.Timestamps {
		out.TimestampsUnixNano().Append(uint64(time) + uint64(i))
	}
}

func (b *builder) location(f Frame) int32 {
	l := b.d.LocationTable().AppendEmpty()
	l.SetAddress(f.Address)
	if f.Mapping != (Mapping{}) {
		l.SetMappingIndex(b.mapping(f.Mapping))
	}
	for _, line := range f.Lines {
		out := l.Lines().AppendEmpty()
		out.SetFunctionIndex(b.function(line))
		out.SetLine(line.Line)
		out.SetColumn(line.Column)
	}
	return int32(b.d.LocationTable().Len() - 1)
}

func (b *builder) mapping(m Mapping) int32 {
	out := b.d.MappingTable().AppendEmpty()
	out.SetMemoryStart(m.Start)
	out.SetMemoryLimit(m.Limit)
	out.SetFileOffset(m.Offset)
	out.SetFilenameStrindex(b.text(m.File))
	for _, id := range []struct{ name, value string }{{"htlhash", m.HTL}, {"go", m.Go}, {"gnu", m.GNU}} {
		if id.value != "" {
			out.AttributeIndices().Append(b.attribute("process.executable.build_id."+id.name, id.value))
		}
	}
	return int32(b.d.MappingTable().Len() - 1)
}

func (b *builder) function(l Line) int32 {
	f := b.d.FunctionTable().AppendEmpty()
	f.SetNameStrindex(b.text(l.Function))
	f.SetSystemNameStrindex(b.text(l.System))
	f.SetFilenameStrindex(b.text(l.File))
	f.SetStartLine(l.Start)
	return int32(b.d.FunctionTable().Len() - 1)
}

func (b *builder) attribute(key string, value any) int32 {
	a := b.d.AttributeTable().AppendEmpty()
	a.SetKeyStrindex(b.text(key))
	put(a.Value(), value)
	return int32(b.d.AttributeTable().Len() - 1)
}

func (b *builder) text(s string) int32 {
	if i, ok := b.texts[s]; ok {
		return i
	}
	b.d.StringTable().Append(s)
	b.texts[s] = int32(b.d.StringTable().Len() - 1)
	return b.texts[s]
}

func put(v pcommon.Value, value any) {
	switch value := value.(type) {
	case int:
		v.SetInt(int64(value))
	case string:
		v.SetStr(value)
	}
}
