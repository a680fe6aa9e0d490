// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package otlpcheck

import (
	"regexp"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// frameTypes are the well-known values of profile.frame.type.
var frameTypes = []string{
	"beam", "cpython", "dotnet", "go", "jvm", "kernel", "luajit", "native", "perl", "php", "ruby", "rust", "v8js",
}

const buildIDPrefix = "process.executable.build_id."

// htlHash is the form of the one build ID that profilers compute themselves.
var htlHash = regexp.MustCompile(`^[0-9a-f]{32}$`)

// checkEntries checks every entry of the tables but the zero values.
func (c *checker) checkEntries() {
	for i, s := range c.dic.StringTable().All() {
		c.checkText(entry(strings, i), s)
	}
	for i, a := range c.dic.AttributeTable().All() {
		if i > 0 {
			c.checkAttribute(entry(attributes, i), a)
		}
	}
	for i, f := range c.dic.FunctionTable().All() {
		if i > 0 {
			c.checkFunction(entry(functions, i), f)
		}
	}
	for i, m := range c.dic.MappingTable().All() {
		if i > 0 {
			c.checkMapping(entry(mappings, i), m)
		}
	}
	for i, l := range c.dic.LocationTable().All() {
		if i > 0 {
			c.checkLocation(entry(locations, i), l)
		}
	}
	for i, l := range c.dic.LinkTable().All() {
		if i > 0 && (l.TraceID().IsEmpty() || l.SpanID().IsEmpty()) {
			c.report(LinkID, entry(links, i), "trace id %s, span id %s", l.TraceID(), l.SpanID())
		}
	}
	for i, s := range c.dic.StackTable().All() {
		if i > 0 {
			c.checkStack(entry(stacks, i), s)
		}
	}
}

func (c *checker) checkAttribute(place string, a pprofile.KeyValueAndUnit) {
	// An attribute's key can be set and yet be the empty string only if the table
	// has duplicates, which is another finding.
	if !c.use(place, "key_strindex", strings, a.KeyStrindex()) && a.KeyStrindex() == 0 {
		c.report(AttributeKey, place, "no key")
	}
	c.use(place, "unit_strindex", strings, a.UnitStrindex())
	if a.Value().Type() == pcommon.ValueTypeStr {
		c.checkText(place, a.Value().Str())
	}
}

func (c *checker) checkFunction(place string, f pprofile.Function) {
	name := c.use(place, "name_strindex", strings, f.NameStrindex())
	system := c.use(place, "system_name_strindex", strings, f.SystemNameStrindex())
	file := c.use(place, "filename_strindex", strings, f.FilenameStrindex())
	if !name && !system && !file {
		c.report(FunctionIdentity, place, "neither name nor system name nor file name")
	}
	if f.StartLine() < 0 {
		c.report(NonNegative, place, "start_line %d", f.StartLine())
	}
}

func (c *checker) checkMapping(place string, m pprofile.Mapping) {
	if m.MemoryStart() >= m.MemoryLimit() && (m.MemoryStart() != 0 || m.MemoryLimit() != 0) {
		c.report(MappingRange, place, "start %#x, limit %#x", m.MemoryStart(), m.MemoryLimit())
	}
	named := c.use(place, "filename_strindex", strings, m.FilenameStrindex())
	values := c.attributeList(place, m.AttributeIndices())
	for key, value := range values {
		if len(key) < len(buildIDPrefix) || key[:len(buildIDPrefix)] != buildIDPrefix {
			continue
		}
		if value == "" || key == buildIDPrefix+"htlhash" && !htlHash.MatchString(value) {
			c.report(MappingBuildID, place, "%s is %q", key, value)
		}
	}
	if !hasBuildID(values) && (!named || m.AttributeIndices().Len() > 0) {
		c.report(MappingBuildID, place, "no build ID, and not merely a file name")
	}
}

func hasBuildID(values map[string]string) bool {
	for _, kind := range []string{"gnu", "go", "htlhash"} {
		if _, there := values[buildIDPrefix+kind]; there {
			return true
		}
	}
	return false
}

func (c *checker) checkLocation(place string, l pprofile.Location) {
	c.use(place, "mapping_index", mappings, l.MappingIndex())
	for _, line := range l.Lines().All() {
		c.use(place, "function_index", functions, line.FunctionIndex())
		if line.Line() < 0 || line.Column() < 0 {
			c.report(NonNegative, place, "line %d, column %d", line.Line(), line.Column())
		}
	}
	frameType, there := c.attributeList(place, l.AttributeIndices())["profile.frame.type"]
	if !there || !slices.Contains(frameTypes, frameType) {
		c.report(FrameType, place, "profile.frame.type is %q", frameType)
	}
}

func (c *checker) checkStack(place string, s pprofile.Stack) {
	for _, i := range s.LocationIndices().All() {
		if !c.use(place, "location_indices", locations, i) && i == 0 {
			c.report(StackLocation, place, "a location that is not set")
		}
	}
}

// attributeList checks a list of attribute indices and returns what it says.
func (c *checker) attributeList(place string, indices pcommon.Int32Slice) map[string]string {
	values := map[string]string{}
	for _, i := range indices.All() {
		if !c.use(place, "attribute_indices", attributes, i) {
			if i == 0 {
				c.report(AttributeKey, place, "an attribute that is not set")
			}
			continue
		}
		a := c.dic.AttributeTable().At(int(i))
		if k := int(a.KeyStrindex()); k > 0 && k < c.size(strings) {
			key := c.dic.StringTable().At(k)
			if _, there := values[key]; there {
				c.report(AttributeUnique, place, "key %q more than once", key)
			}
			values[key] = a.Value().AsString()
		}
	}
	return values
}
