// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"encoding/binary"

	"github.com/google/pprof/profile"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// batch takes the dictionary of one message over into the builder, each entry
// once.
type batch struct {
	into      *Builder
	d         pprofile.ProfilesDictionary
	functions []*profile.Function
	mappings  []*profile.Mapping
	locations []*profile.Location
	stacks    []*stack
}

func newBatch(into *Builder, d pprofile.ProfilesDictionary) *batch {
	return &batch{
		into:      into,
		d:         d,
		functions: make([]*profile.Function, d.FunctionTable().Len()),
		mappings:  make([]*profile.Mapping, d.MappingTable().Len()),
		locations: make([]*profile.Location, d.LocationTable().Len()),
		stacks:    make([]*stack, max(1, d.StackTable().Len())),
	}
}

// stack has its innermost frame first, as OTLP and pprof both want it.
func (b *batch) stack(i int32) *stack {
	if b.stacks[i] == nil {
		var locations []*profile.Location
		if i != 0 {
			locations = b.frames(b.d.StackTable().At(int(i)))
		}
		b.stacks[i] = b.into.stack(locations)
	}
	return b.stacks[i]
}

func (b *batch) frames(s pprofile.Stack) []*profile.Location {
	n := min(s.LocationIndices().Len(), maxDepth)
	locations := make([]*profile.Location, 0, n)
	for j := range n {
		locations = append(locations, b.location(s.LocationIndices().At(j)))
	}
	if n < s.LocationIndices().Len() {
		locations = append(locations, b.into.truncation())
	}
	return locations
}

func (b *Builder) stack(locations []*profile.Location) *stack {
	key := make([]byte, 0, 4*len(locations))
	for _, l := range locations {
		key = binary.AppendUvarint(key, l.ID)
	}
	if known, ok := b.stacks[string(key)]; ok {
		return known
	}
	s := &stack{locations, frameSize}
	for _, l := range locations {
		s.size += frameSize
		for _, line := range l.Line {
			s.size += frameSize + len(functionName(line.Function))
		}
	}
	b.stacks[string(key)] = s
	return s
}

// truncation stands for the callers of a stack that is too deep.
func (b *Builder) truncation() *profile.Location {
	if b.truncated == nil {
		f := b.function(profile.Function{Name: "[truncated]"})
		b.truncated = b.addLocation(&profile.Location{Line: []profile.Line{{Function: f}}})
	}
	return b.truncated
}

func (b *batch) location(i int32) *profile.Location {
	if int(i) >= len(b.locations) { // an empty table
		return b.into.location(&profile.Location{})
	}
	if b.locations[i] == nil {
		b.locations[i] = b.convert(b.d.LocationTable().At(int(i)))
	}
	return b.locations[i]
}

func (b *batch) convert(l pprofile.Location) *profile.Location {
	out := &profile.Location{Mapping: b.mapping(l.MappingIndex()), Address: l.Address()}
	for _, line := range l.Lines().All() {
		f := b.function(line.FunctionIndex())
		if f == nil {
			continue
		}
		out.Line = append(out.Line, profile.Line{Function: f, Line: line.Line(), Column: line.Column()})
	}
	return b.into.location(out)
}

// location returns the one location that is l but for the ID.
func (b *Builder) location(l *profile.Location) *profile.Location {
	var key []byte
	var mapping uint64
	if l.Mapping != nil {
		mapping = l.Mapping.ID
	}
	key = binary.AppendUvarint(binary.AppendUvarint(key, mapping), l.Address)
	for _, line := range l.Line {
		key = binary.AppendUvarint(key, line.Function.ID)
		key = binary.AppendVarint(binary.AppendVarint(key, line.Line), line.Column)
	}
	if known, ok := b.locations[string(key)]; ok {
		return known
	}
	b.locations[string(key)] = b.addLocation(l)
	return l
}

func (b *Builder) addLocation(l *profile.Location) *profile.Location {
	b.profile.Location = append(b.profile.Location, l)
	l.ID = uint64(len(b.profile.Location))
	return l
}

// function is nil if it is not set.
func (b *batch) function(i int32) *profile.Function {
	if i == 0 {
		return nil
	}
	if b.functions[i] == nil {
		f := b.d.FunctionTable().At(int(i))
		b.functions[i] = b.into.function(profile.Function{
			Name:       text(b.d, f.NameStrindex()),
			SystemName: text(b.d, f.SystemNameStrindex()),
			Filename:   text(b.d, f.FilenameStrindex()),
			StartLine:  f.StartLine(),
		})
	}
	return b.functions[i]
}

// function returns the one function that is f but for the ID.
func (b *Builder) function(f profile.Function) *profile.Function {
	if f.Name == "" {
		f.Name = f.SystemName
	}
	if f.SystemName == "" {
		f.SystemName = f.Name
	}
	if known, ok := b.functions[f]; ok {
		return known
	}
	added := f
	b.profile.Function = append(b.profile.Function, &added)
	added.ID = uint64(len(b.profile.Function))
	b.functions[f] = &added
	return &added
}
