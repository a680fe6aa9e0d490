// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package otlpcheck

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

func firstProfile(p pprofile.Profiles) pprofile.Profile {
	return p.ResourceProfiles().At(0).ScopeProfiles().At(0).Profiles().At(0)
}

func firstSample(p pprofile.Profiles) pprofile.Sample { return firstProfile(p).Samples().At(0) }

type profiles = pprofile.Profiles

// mutations break one rule each; some break others in passing.
var mutations = []struct {
	rule  Rule
	name  string
	apply func(p profiles)
}{
	{NonEmpty, "resources", func(p profiles) {
		p.ResourceProfiles().RemoveIf(func(pprofile.ResourceProfiles) bool { return true })
	}},
	{NonEmpty, "scopes", func(p profiles) { p.ResourceProfiles().AppendEmpty() }},
	{NonEmpty, "profiles", func(p profiles) { p.ResourceProfiles().At(0).ScopeProfiles().AppendEmpty() }},

	{IndexRange, "stack", func(p profiles) { firstSample(p).SetStackIndex(3) }},
	{IndexRange, "negative", func(p profiles) { firstSample(p).SetStackIndex(-1) }},
	{IndexRange, "link", func(p profiles) { firstSample(p).SetLinkIndex(2) }},
	{IndexRange, "sample attribute", func(p profiles) { firstSample(p).AttributeIndices().Append(5) }},
	{IndexRange, "profile attribute", func(p profiles) { firstProfile(p).AttributeIndices().Append(5) }},
	{IndexRange, "sample type", func(p profiles) { firstProfile(p).SampleType().SetTypeStrindex(12) }},
	{IndexRange, "period unit", func(p profiles) { firstProfile(p).PeriodType().SetUnitStrindex(12) }},
	{IndexRange, "location", func(p profiles) { p.Dictionary().StackTable().At(1).LocationIndices().Append(3) }},
	{IndexRange, "mapping", func(p profiles) { p.Dictionary().LocationTable().At(1).SetMappingIndex(3) }},
	{IndexRange, "function", func(p profiles) {
		p.Dictionary().LocationTable().At(1).Lines().At(0).SetFunctionIndex(2)
	}},
	{IndexRange, "location attribute", func(p profiles) {
		p.Dictionary().LocationTable().At(1).AttributeIndices().Append(5)
	}},
	{IndexRange, "mapping attribute", func(p profiles) {
		p.Dictionary().MappingTable().At(1).AttributeIndices().Append(5)
	}},
	{IndexRange, "file of mapping", func(p profiles) { p.Dictionary().MappingTable().At(1).SetFilenameStrindex(12) }},
	{IndexRange, "name", func(p profiles) { p.Dictionary().FunctionTable().At(1).SetNameStrindex(12) }},
	{IndexRange, "system name", func(p profiles) { p.Dictionary().FunctionTable().At(1).SetSystemNameStrindex(12) }},
	{IndexRange, "file of function", func(p profiles) { p.Dictionary().FunctionTable().At(1).SetFilenameStrindex(12) }},
	{IndexRange, "key", func(p profiles) { p.Dictionary().AttributeTable().At(1).SetKeyStrindex(12) }},
	{IndexRange, "unit", func(p profiles) { p.Dictionary().AttributeTable().At(1).SetUnitStrindex(12) }},

	{ZeroEntry, "string", func(p profiles) { p.Dictionary().StringTable().SetAt(0, "x") }},
	{ZeroEntry, "function", func(p profiles) { p.Dictionary().FunctionTable().At(0).SetStartLine(1) }},
	{ZeroEntry, "mapping", func(p profiles) { p.Dictionary().MappingTable().At(0).SetFileOffset(1) }},
	{ZeroEntry, "location", func(p profiles) { p.Dictionary().LocationTable().At(0).SetAddress(1) }},
	{ZeroEntry, "link", func(p profiles) { p.Dictionary().LinkTable().At(0).SetSpanID(pcommon.SpanID{1}) }},
	{ZeroEntry, "attribute", func(p profiles) { p.Dictionary().AttributeTable().At(0).Value().SetStr("") }},
	{ZeroEntry, "stack", func(p profiles) { p.Dictionary().StackTable().At(0).LocationIndices().Append(0) }},
	{ZeroEntry, "no table", func(p profiles) { pprofile.NewLinkSlice().CopyTo(p.Dictionary().LinkTable()) }},

	{Duplicate, "string", func(p profiles) { p.Dictionary().StringTable().Append("main") }},
	{Duplicate, "function", func(p profiles) {
		p.Dictionary().FunctionTable().At(1).CopyTo(p.Dictionary().FunctionTable().AppendEmpty())
	}},
	{Duplicate, "mapping", func(p profiles) {
		p.Dictionary().MappingTable().At(1).CopyTo(p.Dictionary().MappingTable().AppendEmpty())
	}},
	{Duplicate, "location", func(p profiles) {
		p.Dictionary().LocationTable().At(1).CopyTo(p.Dictionary().LocationTable().AppendEmpty())
	}},
	{Duplicate, "link", func(p profiles) {
		p.Dictionary().LinkTable().At(1).CopyTo(p.Dictionary().LinkTable().AppendEmpty())
	}},
	{Duplicate, "attribute", func(p profiles) { addAttribute(p.Dictionary(), 5, "worker") }},
	{Duplicate, "stack", func(p profiles) { p.Dictionary().StackTable().AppendEmpty() }},

	{Orphan, "string", func(p profiles) { p.Dictionary().StringTable().Append("x") }},
	{Orphan, "function", func(p profiles) { p.Dictionary().FunctionTable().AppendEmpty().SetNameStrindex(8) }},
	{Orphan, "mapping", func(p profiles) { p.Dictionary().MappingTable().AppendEmpty().SetFilenameStrindex(6) }},
	{Orphan, "location", func(p profiles) {
		p.Dictionary().LocationTable().AppendEmpty().AttributeIndices().Append(2)
	}},
	{Orphan, "link", func(p profiles) { firstSample(p).SetLinkIndex(0) }},
	{Orphan, "attribute", func(p profiles) { addAttribute(p.Dictionary(), 5, "other") }},
	{Orphan, "stack", func(p profiles) { p.Dictionary().StackTable().AppendEmpty().LocationIndices().Append(2) }},

	{UTF8, "table", func(p profiles) { p.Dictionary().StringTable().SetAt(6, "\xff") }},
	{UTF8, "attribute", func(p profiles) { p.Dictionary().AttributeTable().At(1).Value().SetStr("\xff") }},
	{UTF8, "resource", func(p profiles) { p.ResourceProfiles().At(0).Resource().Attributes().PutStr("a", "\xff") }},

	{AttributeKey, "table", func(p profiles) { p.Dictionary().AttributeTable().At(1).SetKeyStrindex(0) }},
	{AttributeKey, "not set", func(p profiles) { firstSample(p).AttributeIndices().Append(0) }},
	{AttributeKey, "resource", func(p profiles) { p.ResourceProfiles().At(0).Resource().Attributes().PutStr("", "x") }},

	{AttributeUnique, "sample", func(p profiles) { firstSample(p).AttributeIndices().Append(1) }},
	{AttributeUnique, "location", func(p profiles) {
		p.Dictionary().LocationTable().At(1).AttributeIndices().Append(4)
	}},
	{AttributeUnique, "resource", func(p profiles) { duplicateResourceKey(p) }},

	{ValueType, "sample type", func(p profiles) { firstProfile(p).SampleType().SetTypeStrindex(0) }},
	{ValueType, "sample unit", func(p profiles) { firstProfile(p).SampleType().SetUnitStrindex(0) }},
	{ValueType, "period unit", func(p profiles) { firstProfile(p).PeriodType().SetUnitStrindex(0) }},
	{ValueType, "no period", func(p profiles) { firstProfile(p).SetPeriod(0) }},

	{Duration, "zero", func(p profiles) { firstProfile(p).SetDurationNano(0) }},
	{TimestampRange, "before", func(p profiles) { firstSample(p).TimestampsUnixNano().SetAt(0, 999) }},
	{TimestampRange, "end", func(p profiles) { firstSample(p).TimestampsUnixNano().SetAt(1, 1100) }},

	{SampleShape, "nothing", func(p profiles) { firstSample(p).TimestampsUnixNano().FromRaw(nil) }},
	{SampleShape, "several values", func(p profiles) {
		firstSample(p).TimestampsUnixNano().FromRaw(nil)
		firstSample(p).Values().Append(1, 2)
	}},
	{SampleShape, "lengths", func(p profiles) { firstSample(p).Values().Append(1) }},
	{SampleShape, "mixed", func(p profiles) { firstSample(p).Values().Append(1, 1) }},

	{SampleIdentity, "equal", func(p profiles) { firstSample(p).CopyTo(firstProfile(p).Samples().AppendEmpty()) }},
	{SampleIdentity, "order of attributes", func(p profiles) {
		addSample(firstProfile(p), 1, 1, 1001)
		firstSample(p).AttributeIndices().FromRaw([]int32{1, 2})
		firstProfile(p).Samples().At(2).AttributeIndices().FromRaw([]int32{2, 1})
	}},

	{StackLocation, "zero", func(p profiles) { p.Dictionary().StackTable().At(1).LocationIndices().Append(0) }},

	{MappingRange, "empty", func(p profiles) { p.Dictionary().MappingTable().At(1).SetMemoryLimit(0x1000) }},
	{MappingRange, "backwards", func(p profiles) { p.Dictionary().MappingTable().At(1).SetMemoryLimit(0) }},
	{MappingBuildID, "no file name", func(p profiles) { p.Dictionary().MappingTable().At(2).SetFilenameStrindex(0) }},
	{MappingBuildID, "other attributes", func(p profiles) {
		p.Dictionary().MappingTable().At(2).AttributeIndices().Append(1)
	}},
	{MappingBuildID, "empty value", func(p profiles) { p.Dictionary().AttributeTable().At(3).Value().SetStr("") }},
	{MappingBuildID, "htlhash", func(p profiles) {
		p.Dictionary().StringTable().SetAt(11, "process.executable.build_id.htlhash")
	}},

	{FrameType, "missing", func(p profiles) { p.Dictionary().LocationTable().At(1).AttributeIndices().FromRaw(nil) }},
	{FrameType, "unknown", func(p profiles) { p.Dictionary().AttributeTable().At(2).Value().SetStr("c") }},

	{NonNegative, "line", func(p profiles) { p.Dictionary().LocationTable().At(1).Lines().At(0).SetLine(-1) }},
	{NonNegative, "column", func(p profiles) { p.Dictionary().LocationTable().At(1).Lines().At(0).SetColumn(-1) }},
	{NonNegative, "start line", func(p profiles) { p.Dictionary().FunctionTable().At(1).SetStartLine(-1) }},
	{NonNegative, "period", func(p profiles) { firstProfile(p).SetPeriod(-1) }},

	{LinkID, "trace", func(p profiles) { p.Dictionary().LinkTable().At(1).SetTraceID(pcommon.TraceID{}) }},
	{LinkID, "span", func(p profiles) { p.Dictionary().LinkTable().At(1).SetSpanID(pcommon.SpanID{}) }},
	{FunctionIdentity, "nameless", func(p profiles) {
		f := p.Dictionary().FunctionTable().At(1)
		f.SetNameStrindex(0)
		f.SetFilenameStrindex(0)
		f.SetStartLine(1)
	}},
}

// duplicateResourceKey makes two keys of a resource equal, which the methods of
// a map prevent: encoded keys are references, and their strings can be changed.
func duplicateResourceKey(p profiles) {
	attributes := p.ResourceProfiles().At(0).Resource().Attributes()
	attributes.PutStr("one.key", "x")
	attributes.PutStr("two.key", "x")
	encoded, err := (&pprofile.ProtoMarshaler{}).MarshalProfiles(p)
	if err != nil {
		panic(err)
	}
	for i := range encoded {
		if string(encoded[i:min(i+7, len(encoded))]) == "two.key" {
			copy(encoded[i:], "one.key")
		}
	}
	decoded, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(encoded)
	if err != nil {
		panic(err)
	}
	decoded.MoveTo(p)
}
