// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package otlpcheck

import (
	"fmt"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

func (c *checker) size(table string) int {
	switch table {
	case strings:
		return c.dic.StringTable().Len()
	case functions:
		return c.dic.FunctionTable().Len()
	case mappings:
		return c.dic.MappingTable().Len()
	case locations:
		return c.dic.LocationTable().Len()
	case links:
		return c.dic.LinkTable().Len()
	case attributes:
		return c.dic.AttributeTable().Len()
	case stacks:
		return c.dic.StackTable().Len()
	}
	panic("no table " + table)
}

// tables returns all seven. The zero texts are what describe gives for entries
// nothing was set in.
func (c *checker) tables() []table {
	d := c.dic
	return []table{
		{strings, c.size(strings), func(i int) string { return d.StringTable().At(i) }, ""},
		{functions, c.size(functions), c.describeFunction, "0 0 0 0"},
		{mappings, c.size(mappings), c.describeMapping, "0 0 0 0 []"},
		{locations, c.size(locations), c.describeLocation, "0 0 [] []"},
		{links, c.size(links), c.describeLink, "00000000000000000000000000000000 0000000000000000"},
		{attributes, c.size(attributes), c.describeAttribute, "0 0 Empty "},
		{stacks, c.size(stacks), func(i int) string {
			return fmt.Sprint(d.StackTable().At(i).LocationIndices().AsRaw())
		}, "[]"},
	}
}

func (c *checker) describeFunction(i int) string {
	f := c.dic.FunctionTable().At(i)
	return fmt.Sprintf("%d %d %d %d", f.NameStrindex(), f.SystemNameStrindex(), f.FilenameStrindex(), f.StartLine())
}

func (c *checker) describeMapping(i int) string {
	m := c.dic.MappingTable().At(i)
	return fmt.Sprintf("%d %d %d %d %v", m.MemoryStart(), m.MemoryLimit(), m.FileOffset(),
		m.FilenameStrindex(), m.AttributeIndices().AsRaw())
}

func (c *checker) describeLocation(i int) string {
	l := c.dic.LocationTable().At(i)
	lines := [][3]int64{}
	for _, line := range l.Lines().All() {
		lines = append(lines, [3]int64{int64(line.FunctionIndex()), line.Line(), line.Column()})
	}
	return fmt.Sprintf("%d %d %v %v", l.MappingIndex(), l.Address(), lines, l.AttributeIndices().AsRaw())
}

func (c *checker) describeLink(i int) string {
	l := c.dic.LinkTable().At(i)
	trace, span := l.TraceID(), l.SpanID()
	return fmt.Sprintf("%x %x", trace[:], span[:])
}

func (c *checker) describeAttribute(i int) string {
	a := c.dic.AttributeTable().At(i)
	return fmt.Sprintf("%d %d %s %s", a.KeyStrindex(), a.UnitStrindex(), a.Value().Type(), a.Value().AsString())
}

// checkTables checks what stands at index 0.
func (c *checker) checkTables() {
	for _, t := range c.tables() {
		if t.size == 0 {
			c.report(ZeroEntry, t.name, "empty, even the entry at index 0 is missing")
			continue
		}
		if got := t.describe(0); got != t.zero {
			c.report(ZeroEntry, entry(t.name, 0), "not the zero value but %q", got)
		}
	}
}

func (c *checker) checkDuplicates() {
	for _, t := range c.tables() {
		first := map[string]int{}
		for i := range t.size {
			d := t.describe(i)
			if j, there := first[d]; there {
				c.report(Duplicate, entry(t.name, i), "equal to %s", entry(t.name, j))
				continue
			}
			first[d] = i
		}
	}
}

// checkOrphans runs after everything that marks entries as used.
func (c *checker) checkOrphans() {
	for _, t := range c.tables() {
		for i := 1; i < t.size; i++ {
			if !c.used[t.name][i] {
				c.report(Orphan, entry(t.name, i), "nothing refers to it: %.80q", t.describe(i))
			}
		}
	}
}

func (c *checker) checkText(place, s string) {
	if !utf8.ValidString(s) {
		c.report(UTF8, place, "not valid: %q", s)
	}
}

// useText marks the strings of a resource or scope attribute: encoders replace
// them by references into the string table, and decoders put them back.
func (c *checker) useText(texts map[string]int, s string) {
	i, there := texts[s]
	if !there {
		return
	}
	if c.used[strings] == nil {
		c.used[strings] = map[int]bool{}
	}
	c.used[strings][i] = true
}

// useValue marks the strings within a value.
func (c *checker) useValue(place string, texts map[string]int, v pcommon.Value) {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		c.checkText(place, v.Str())
		c.useText(texts, v.Str())
	case pcommon.ValueTypeMap:
		c.checkMap(place, texts, v.Map())
	case pcommon.ValueTypeSlice:
		for _, e := range v.Slice().All() {
			c.useValue(place, texts, e)
		}
	}
}

// checkMap checks the attributes of a resource or scope.
func (c *checker) checkMap(place string, texts map[string]int, m pcommon.Map) {
	seen := map[string]bool{}
	for key, value := range m.All() {
		c.checkText(place, key)
		if key == "" {
			c.report(AttributeKey, place, "an attribute without a key")
		}
		if seen[key] {
			c.report(AttributeUnique, place, "key %q more than once", key)
		}
		seen[key] = true
		c.useText(texts, key)
		c.useValue(place+" "+key, texts, value)
	}
}
