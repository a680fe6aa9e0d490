// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"fmt"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// Check reports the first reference to an entry of the dictionary that does not
// exist. Index 0 means "not set" in every table, so it is always right.
func Check(p pprofile.Profiles) error {
	c := checker{d: p.Dictionary()}
	c.dictionary()
	for i, rp := range p.ResourceProfiles().All() {
		for _, sp := range rp.ScopeProfiles().All() {
			for _, profile := range sp.Profiles().All() {
				c.where = "a profile of resource"
				c.at = i
				c.profile(profile)
			}
		}
	}
	return c.err
}

type checker struct {
	d     pprofile.ProfilesDictionary
	where string
	at    int
	err   error
}

func (c *checker) index(what string, i int32, size int) {
	if c.err == nil && i != 0 && (i < 0 || int(i) >= size) {
		c.err = fmt.Errorf("%s %d refers to %s %d, of which there are %d", c.where, c.at, what, i, size)
	}
}

func (c *checker) texts(indices ...int32) {
	for _, i := range indices {
		c.index("string", i, c.d.StringTable().Len())
	}
}

func (c *checker) attributes(indices pcommon.Int32Slice) {
	for _, i := range indices.All() {
		c.index("attribute", i, c.d.AttributeTable().Len())
	}
}

func (c *checker) dictionary() {
	for i, m := range c.d.MappingTable().All() {
		c.where, c.at = "mapping", i
		c.texts(m.FilenameStrindex())
		c.attributes(m.AttributeIndices())
	}
	for i, f := range c.d.FunctionTable().All() {
		c.where, c.at = "function", i
		c.texts(f.NameStrindex(), f.SystemNameStrindex(), f.FilenameStrindex())
	}
	for i, l := range c.d.LocationTable().All() {
		c.where, c.at = "location", i
		c.index("mapping", l.MappingIndex(), c.d.MappingTable().Len())
		c.attributes(l.AttributeIndices())
		for _, line := range l.Lines().All() {
			c.index("function", line.FunctionIndex(), c.d.FunctionTable().Len())
		}
	}
	for i, s := range c.d.StackTable().All() {
		c.where, c.at = "stack", i
		for _, l := range s.LocationIndices().All() {
			c.index("location", l, c.d.LocationTable().Len())
		}
	}
	for i, a := range c.d.AttributeTable().All() {
		c.where, c.at = "attribute", i
		c.texts(a.KeyStrindex(), a.UnitStrindex())
	}
}

func (c *checker) profile(p pprofile.Profile) {
	c.texts(p.SampleType().TypeStrindex(), p.SampleType().UnitStrindex())
	c.texts(p.PeriodType().TypeStrindex(), p.PeriodType().UnitStrindex())
	for _, s := range p.Samples().All() {
		c.index("stack", s.StackIndex(), c.d.StackTable().Len())
		c.attributes(s.AttributeIndices())
	}
}
