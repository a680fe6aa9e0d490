// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package otlpcheck

import (
	"fmt"
	"slices"

	"go.opentelemetry.io/collector/pdata/pprofile"
)

// checkResources walks down to the samples.
func (c *checker) checkResources(resources pprofile.ResourceProfilesSlice) {
	texts := map[string]int{}
	for i, s := range c.dic.StringTable().All() {
		texts[s] = i
	}
	if resources.Len() == 0 {
		c.report(NonEmpty, "resource_profiles", "none")
	}
	for i, rp := range resources.All() {
		place := fmt.Sprintf("resource_profiles[%d]", i)
		c.checkMap(place, texts, rp.Resource().Attributes())
		if rp.ScopeProfiles().Len() == 0 {
			c.report(NonEmpty, place, "no scope_profiles")
		}
		for j, sp := range rp.ScopeProfiles().All() {
			place := fmt.Sprintf("%s.scope_profiles[%d]", place, j)
			c.checkText(place, sp.Scope().Name())
			c.checkText(place, sp.Scope().Version())
			c.checkMap(place, texts, sp.Scope().Attributes())
			if sp.Profiles().Len() == 0 {
				c.report(NonEmpty, place, "no profiles")
			}
			for k, p := range sp.Profiles().All() {
				c.checkProfile(fmt.Sprintf("%s.profiles[%d]", place, k), p)
			}
		}
	}
}

func (c *checker) checkProfile(place string, p pprofile.Profile) {
	c.checkTypes(place, p)
	if p.DurationNano() == 0 {
		c.report(Duration, place, "duration_nano is 0")
	}
	c.attributeList(place, p.AttributeIndices())
	profileShape, seen := "", map[string]int{}
	for i, s := range p.Samples().All() {
		place := fmt.Sprintf("%s.samples[%d]", place, i)
		c.checkSample(place, p, s)
		shape, problem := shapeOf(s)
		if problem != "" {
			c.report(SampleShape, place, "%s", problem)
			continue
		}
		if profileShape == "" {
			profileShape = shape
		}
		if shape != profileShape {
			c.report(SampleShape, place, "%s, others have %s", shape, profileShape)
		}
		id := identity(s)
		if j, there := seen[id]; there {
			c.report(SampleIdentity, place, "same stack, attributes and link as samples[%d]", j)
			continue
		}
		seen[id] = i
	}
}

// checkTypes checks what the profile measures. A period needs a type, and some
// receivers reject a type without a period.
func (c *checker) checkTypes(place string, p pprofile.Profile) {
	set := func(field string, v pprofile.ValueType) (typed, unit bool) {
		return c.use(place, field+".type_strindex", strings, v.TypeStrindex()),
			c.use(place, field+".unit_strindex", strings, v.UnitStrindex())
	}
	if typed, unit := set("sample_type", p.SampleType()); !typed || !unit {
		c.report(ValueType, place, "sample_type without a type or unit")
	}
	typed, unit := set("period_type", p.PeriodType())
	if typed != unit || typed != (p.Period() != 0) {
		c.report(ValueType, place, "period %d and period_type do not agree", p.Period())
	}
	if p.Period() < 0 {
		c.report(NonNegative, place, "period %d", p.Period())
	}
}

func (c *checker) checkSample(place string, p pprofile.Profile, s pprofile.Sample) {
	c.use(place, "stack_index", stacks, s.StackIndex())
	c.use(place, "link_index", links, s.LinkIndex())
	c.attributeList(place, s.AttributeIndices())
	first := uint64(p.Time())
	for _, t := range s.TimestampsUnixNano().All() {
		if t < first || t-first >= p.DurationNano() {
			c.report(TimestampRange, place, "%d is not in [%d, %d)", t, first, first+p.DurationNano())
		}
	}
}

// shapeOf tells the three permitted shapes of a sample apart.
func shapeOf(s pprofile.Sample) (shape, problem string) {
	values, stamps := s.Values().Len(), s.TimestampsUnixNano().Len()
	switch {
	case values == 0 && stamps == 0:
		return "", "neither values nor timestamps"
	case values == 0:
		return "timestamps only", ""
	case stamps == 0 && values == 1:
		return "one value", ""
	case stamps == 0:
		return "", fmt.Sprintf("%d values without timestamps", values)
	case values != stamps:
		return "", fmt.Sprintf("%d values for %d timestamps", values, stamps)
	}
	return "values with timestamps", ""
}

// identity returns what makes a sample the same record as another: the order of
// the attributes does not matter.
func identity(s pprofile.Sample) string {
	indices := slices.Clone(s.AttributeIndices().AsRaw())
	slices.Sort(indices)
	return fmt.Sprint(s.StackIndex(), s.LinkIndex(), indices)
}
