// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"cmp"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Owner is the source of samples, in general one generation of one process. It
// becomes one resource, or shares one. Owners are told apart by their pointer and
// must not change while a window holds them.
type Owner struct {
	// Group, Start, PID and Generation order the resources of a window.
	Start      event.BootTime
	PID        uint32
	Generation event.Generation
	// Group names the resource that the owner shares with all others of its group, which
	// have the same Attributes; "": it has its own.
	Group string
	// Attributes are those of the resource, OnSamples those of each sample, which are
	// texts and numbers. Keys are unique.
	Attributes, OnSamples []Attribute
}

// shares reports whether two owners have one resource.
func (o *Owner) shares(other *Owner) bool {
	return o == other || o.Group != "" && o.Group == other.Group
}

// compareOwners orders resources.
func compareOwners(a, b *Owner) int {
	return cmp.Or(
		cmp.Compare(a.Group, b.Group),
		cmp.Compare(a.Start, b.Start),
		cmp.Compare(a.PID, b.PID),
		cmp.Compare(a.Generation, b.Generation),
	)
}

// Attribute is one attribute of a resource or a sample.
type Attribute struct {
	key    string
	kind   kind
	texts  []string // one of a text, any number of a list
	number int64
}

type kind uint8

const (
	ofText kind = iota
	ofList
	ofNumber
)

// Key returns the attribute's name.
func (a Attribute) Key() string { return a.key }

// Text returns its value, if that is a text.
func (a Attribute) Text() string {
	if a.kind != ofText {
		return ""
	}
	return a.texts[0]
}

// StringAttribute returns an attribute with a string value.
func StringAttribute(key, value string) Attribute {
	// Command lines and file names are bytes, protobuf strings are UTF-8: a strict
	// receiver would reject the whole batch.
	return Attribute{key: validText(key), texts: []string{validText(value)}}
}

// ListAttribute returns an attribute whose value is a list of strings.
func ListAttribute(key string, values []string) Attribute {
	a := Attribute{key: validText(key), kind: ofList, texts: make([]string, len(values))}
	for i, v := range values {
		a.texts[i] = validText(v)
	}
	return a
}

// IntAttribute returns an attribute with an integer value.
func IntAttribute(key string, value int64) Attribute {
	return Attribute{key: validText(key), kind: ofNumber, number: value}
}

// put sets the attribute in a map.
func (a Attribute) put(m pcommon.Map) {
	switch a.kind {
	case ofText:
		m.PutStr(a.key, a.texts[0])
	case ofNumber:
		m.PutInt(a.key, a.number)
	case ofList:
		values := m.PutEmptySlice(a.key)
		values.EnsureCapacity(len(a.texts))
		for _, t := range a.texts {
			values.AppendEmpty().SetStr(t)
		}
	}
}

// sortedAttributes returns the attributes ordered by key.
func sortedAttributes(attributes []Attribute) []Attribute {
	byKey := func(a, b Attribute) int { return cmp.Compare(a.key, b.key) }
	if slices.IsSortedFunc(attributes, byKey) {
		return attributes
	}
	sorted := slices.Clone(attributes)
	slices.SortStableFunc(sorted, byKey)
	return sorted
}

// validText returns s with what is not UTF-8 replaced.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
