// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package otlpcheck checks profiles against the rules OTLP sets for producers,
// and a few that receivers in the field insist on. It is a test helper.
package otlpcheck

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/pdata/pprofile"
)

// Rule names a rule that Check holds profiles against.
type Rule string

// The rules. An index of 0 means "not set" wherever OTLP says so.
const (
	NonEmpty         Rule = "non-empty"         // resources, scopes and profiles are there
	IndexRange       Rule = "index-range"       // indices lie within their tables
	ZeroEntry        Rule = "zero-entry"        // tables begin with their zero value
	Duplicate        Rule = "duplicate"         // tables have no equal entries
	Orphan           Rule = "orphan"            // table entries are used
	UTF8             Rule = "utf-8"             // strings are valid
	AttributeKey     Rule = "attribute-key"     // keys are not empty
	AttributeUnique  Rule = "attribute-unique"  // a list has a key once
	ValueType        Rule = "value-type"        // types and units have names
	Duration         Rule = "duration"          // profiles cover time
	TimestampRange   Rule = "timestamp-range"   // timestamps lie in [time, time+duration)
	SampleShape      Rule = "sample-shape"      // samples of a profile are of one shape
	SampleIdentity   Rule = "sample-identity"   // samples of a profile differ
	StackLocation    Rule = "stack-location"    // stacks hold locations that are set
	MappingRange     Rule = "mapping-range"     // start < limit, or both are 0
	MappingBuildID   Rule = "mapping-build-id"  // build ID, or a file name and no attributes
	FrameType        Rule = "frame-type"        // locations have a well-known frame type
	NonNegative      Rule = "non-negative"      // lines and columns are not negative
	LinkID           Rule = "link-id"           // links have both their ids
	FunctionIdentity Rule = "function-identity" // functions have a name or a file
)

// Finding is a breach of a rule.
type Finding struct {
	Rule Rule
	// Place says where, such as "location_table[3]".
	Place   string
	Problem string
}

func (f *Finding) Error() string {
	return fmt.Sprintf("%s: %s (%s)", f.Place, f.Problem, f.Rule)
}

// Check returns all findings, joined, or nil. It does not change the profiles.
func Check(p pprofile.Profiles) error {
	c := &checker{
		dic:  p.Dictionary(),
		used: map[string]map[int]bool{},
	}
	c.checkTables()
	c.checkDuplicates()
	c.checkEntries()
	c.checkResources(p.ResourceProfiles())
	c.checkOrphans()
	return errors.Join(c.findings...)
}

// checker holds what one Check has seen.
type checker struct {
	dic      pprofile.ProfilesDictionary
	findings []error
	// used holds, by table name, the indices that something refers to.
	used map[string]map[int]bool
}

func (c *checker) report(rule Rule, place, format string, args ...any) {
	c.findings = append(c.findings, &Finding{Rule: rule, Place: place, Problem: fmt.Sprintf(format, args...)})
}

// table is one table of the dictionary, for the rules that hold for all.
type table struct {
	name string
	size int
	// describe returns a text that is equal for equal entries only.
	describe func(i int) string
	zero     string
}

const (
	strings    = "string_table"
	functions  = "function_table"
	mappings   = "mapping_table"
	locations  = "location_table"
	links      = "link_table"
	attributes = "attribute_table"
	stacks     = "stack_table"
)

func entry(table string, i int) string { return fmt.Sprintf("%s[%d]", table, i) }

// use checks an index into a table and marks the entry as used. It returns false
// for an index that leads nowhere, whether it is unset or out of range.
func (c *checker) use(place, field, table string, index int32) bool {
	size := c.size(table)
	if index < 0 || int(index) >= size {
		c.report(IndexRange, place, "%s %d, %s has %d entries", field, index, table, size)
		return false
	}
	if c.used[table] == nil {
		c.used[table] = map[int]bool{}
	}
	c.used[table][int(index)] = true
	return index != 0
}
