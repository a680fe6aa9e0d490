// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

// extent is the state of a dictionary at one moment.
type extent struct {
	strings, attributes, functions, mappings, locations, stacks, lines, links int
	size                                                                      int
}

// extent remembers what the dictionary holds now.
func (d *dictionary) extent() extent {
	return extent{
		strings:    len(d.strings.keys),
		attributes: len(d.attributes.keys),
		functions:  len(d.functions.keys),
		mappings:   len(d.mappings.keys),
		locations:  len(d.locations.keys),
		stacks:     len(d.stacks.keys),
		lines:      len(d.lines.keys),
		links:      len(d.links.keys),
		size:       d.size,
	}
}

// truncate drops what came after e: the entries of a sample that did not fit
// would be orphans. The maps still know them, so a truncated dictionary can only
// be written.
func (d *dictionary) truncate(e extent) {
	d.strings.keys = d.strings.keys[:e.strings]
	d.attributes.keys = d.attributes.keys[:e.attributes]
	d.functions.keys = d.functions.keys[:e.functions]
	d.mappings.keys = d.mappings.keys[:e.mappings]
	d.locations.keys = d.locations.keys[:e.locations]
	d.stacks.keys = d.stacks.keys[:e.stacks]
	d.lines.keys = d.lines.keys[:e.lines]
	d.links.keys = d.links.keys[:e.links]
	d.size = e.size
}
