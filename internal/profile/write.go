// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"encoding/binary"
	"strings"

	"go.opentelemetry.io/collector/pdata/pprofile"
)

// write fills the tables of a push.
func (d *dictionary) write(out pprofile.ProfilesDictionary) {
	out.StringTable().FromRaw(d.strings.keys)
	d.writeLinks(out.LinkTable())
	d.writeAttributes(out.AttributeTable())
	d.writeFunctions(out.FunctionTable())
	d.writeMappings(out.MappingTable())
	d.writeLocations(out.LocationTable())
	d.writeStacks(out.StackTable())
}

func (d *dictionary) writeLinks(out pprofile.LinkSlice) {
	out.EnsureCapacity(len(d.links.keys))
	for _, l := range d.links.keys {
		entry := out.AppendEmpty()
		entry.SetTraceID(l.Trace)
		entry.SetSpanID(l.Span)
	}
}

func (d *dictionary) writeAttributes(out pprofile.KeyValueAndUnitSlice) {
	out.EnsureCapacity(len(d.attributes.keys))
	for i, a := range d.attributes.keys {
		entry := out.AppendEmpty()
		if i == 0 {
			continue // its value is not even an empty string
		}
		entry.SetKeyStrindex(int32(a.key))
		if a.kind == ofNumber {
			entry.Value().SetInt(a.number)
		} else {
			entry.Value().SetStr(a.value)
		}
	}
}

func (d *dictionary) writeFunctions(out pprofile.FunctionSlice) {
	out.EnsureCapacity(len(d.functions.keys))
	for _, f := range d.functions.keys {
		entry := out.AppendEmpty()
		entry.SetNameStrindex(int32(f.name))
		entry.SetSystemNameStrindex(int32(f.system))
		entry.SetFilenameStrindex(int32(f.file))
	}
}

func (d *dictionary) writeMappings(out pprofile.MappingSlice) {
	out.EnsureCapacity(len(d.mappings.keys))
	for _, m := range d.mappings.keys {
		entry := out.AppendEmpty()
		entry.SetMemoryStart(m.start)
		entry.SetMemoryLimit(m.limit)
		entry.SetFileOffset(m.offset)
		entry.SetFilenameStrindex(int32(m.filename))
		for _, id := range m.buildIDs() {
			entry.AttributeIndices().Append(int32(id))
		}
	}
}

func (d *dictionary) writeLocations(out pprofile.LocationSlice) {
	out.EnsureCapacity(len(d.locations.keys))
	for _, l := range d.locations.keys {
		entry := out.AppendEmpty()
		entry.SetMappingIndex(int32(l.mapping))
		entry.SetAddress(l.address)
		d.eachLine(l, func(function uint32, number uint64) {
			line := entry.Lines().AppendEmpty()
			line.SetFunctionIndex(int32(function))
			line.SetLine(int64(number))
		})
		if l.frameType != 0 {
			entry.AttributeIndices().Append(int32(l.frameType))
		}
	}
}

func (d *dictionary) writeStacks(out pprofile.StackSlice) {
	out.EnsureCapacity(len(d.stacks.keys))
	var indices []int32
	for _, key := range d.stacks.keys {
		indices = indices[:0]
		for ; key != ""; key = key[4:] {
			indices = append(indices, int32(binary.LittleEndian.Uint32([]byte(key[:4]))))
		}
		out.AppendEmpty().LocationIndices().FromRaw(indices)
	}
}

// unnamed counts the locations without a function.
func (d *dictionary) unnamed() int {
	n := 0
	for _, l := range d.locations.keys[1:] {
		if l.lines == 0 {
			n++
		}
	}
	return n
}

// pending counts the locations that are still being read about.
func (d *dictionary) pending() int {
	n := 0
	for i := range d.unread {
		if int(i) < len(d.locations.keys) { // else it was truncated
			n++
		}
	}
	return n
}

// unidentified counts the mappings of files without a build ID. What is no file, such as the
// kernel, has its name in brackets.
func (d *dictionary) unidentified() int {
	n := 0
	for _, m := range d.mappings.keys[1:] {
		if len(m.buildIDs()) == 0 && !strings.HasPrefix(d.strings.keys[m.filename], "[") {
			n++
		}
	}
	return n
}
