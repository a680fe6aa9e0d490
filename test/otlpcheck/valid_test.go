// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package otlpcheck

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// valid returns profiles without a finding that use every table. Mutations refer
// to its entries by these indices:
//
//	strings    6 main, 7 main.c, 8 app, 9 [kernel]
//	attributes 1 thread.name=worker, 2 frame type native, 3 gnu build id, 4 frame type kernel
//	functions  1 main
//	mappings   1 app, 2 [kernel]
//	locations  1 in app, 2 in the kernel
//	stacks     1 both locations, 2 the one in app
func valid() pprofile.Profiles {
	p := pprofile.NewProfiles()
	fillTables(p.Dictionary())
	rp := p.ResourceProfiles().AppendEmpty()
	rp.Resource().Attributes().PutInt("process.pid", 7)
	rp.Resource().Attributes().PutEmptySlice("process.command_args").AppendEmpty().SetStr("app")
	sp := rp.ScopeProfiles().AppendEmpty()
	sp.Scope().SetName("test")
	profile := sp.Profiles().AppendEmpty()
	profile.SampleType().SetTypeStrindex(1)
	profile.SampleType().SetUnitStrindex(2)
	profile.PeriodType().SetTypeStrindex(3)
	profile.PeriodType().SetUnitStrindex(4)
	profile.SetPeriod(10)
	profile.SetTime(1000)
	profile.SetDurationNano(100)
	addSample(profile, 1, 1, 1000, 1099)
	addSample(profile, 2, 0, 1050)
	return p
}

func addSample(p pprofile.Profile, stack, link int32, times ...uint64) {
	s := p.Samples().AppendEmpty()
	s.SetStackIndex(stack)
	s.SetLinkIndex(link)
	s.AttributeIndices().Append(1)
	s.TimestampsUnixNano().FromRaw(times)
}

func fillTables(d pprofile.ProfilesDictionary) {
	d.StringTable().FromRaw([]string{
		"", "samples", "count", "cpu", "nanoseconds", "thread.name", "main", "main.c", "app", "[kernel]",
		"profile.frame.type", "process.executable.build_id.gnu",
	})
	d.AttributeTable().AppendEmpty()
	addAttribute(d, 5, "worker")
	addAttribute(d, 10, "native")
	addAttribute(d, 11, "abc")
	addAttribute(d, 10, "kernel")

	d.FunctionTable().AppendEmpty()
	f := d.FunctionTable().AppendEmpty()
	f.SetNameStrindex(6)
	f.SetFilenameStrindex(7)

	d.MappingTable().AppendEmpty()
	m := d.MappingTable().AppendEmpty()
	m.SetMemoryStart(0x1000)
	m.SetMemoryLimit(0x2000)
	m.SetFilenameStrindex(8)
	m.AttributeIndices().Append(3)
	d.MappingTable().AppendEmpty().SetFilenameStrindex(9)

	d.LocationTable().AppendEmpty()
	l := d.LocationTable().AppendEmpty()
	l.SetMappingIndex(1)
	l.SetAddress(0x1234)
	l.Lines().AppendEmpty().SetFunctionIndex(1)
	l.AttributeIndices().Append(2)
	l = d.LocationTable().AppendEmpty()
	l.SetMappingIndex(2)
	l.SetAddress(0xffff)
	l.AttributeIndices().Append(4)

	d.StackTable().AppendEmpty()
	d.StackTable().AppendEmpty().LocationIndices().Append(2, 1)
	d.StackTable().AppendEmpty().LocationIndices().Append(1)

	d.LinkTable().AppendEmpty()
	link := d.LinkTable().AppendEmpty()
	link.SetTraceID(pcommon.TraceID{1})
	link.SetSpanID(pcommon.SpanID{1})
}

func addAttribute(d pprofile.ProfilesDictionary, key int32, value string) {
	a := d.AttributeTable().AppendEmpty()
	a.SetKeyStrindex(key)
	a.Value().SetStr(value)
}
