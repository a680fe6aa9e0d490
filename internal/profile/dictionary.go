// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"encoding/binary"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// dictionary collects the tables of one batch and their encoded size. Index 0 of
// every table is its zero value and means "not set".
type dictionary struct {
	resolver Resolver
	// demangle makes names readable.
	demangle func(string) string

	strings    interner[string]
	attributes interner[attribute]
	functions  interner[function]
	mappings   interner[mapping]
	locations  interner[location]
	stacks     interner[string] // location indices, four bytes each
	links      interner[event.Link]
	// lines are those of locations: function indices and line numbers. sets are the lists
	// of attributes of samples: indices. Neither is a table of its own when sent.
	lines, sets interner[string]

	// size is the encoded length of all entries.
	size int

	// unread are the locations that are still being read about.
	unread map[uint32]struct{}

	// ofFrame and ofStack remember what frames and the window's stacks became.
	ofFrame map[Frame]uint32
	ofStack map[uint32]uint32
	// recent is a small cache in front of ofFrame: most frames of a stack are
	// those of the one before.
	recent [1 << recentBits]struct {
		frame    Frame
		location uint32
	}

	frames       []Frame // scratch
	sample       []keyed // scratch
	key, lineKey []byte  // scratch
}

// The entries refer to other tables by index.
type (
	attribute struct {
		key    uint32
		kind   kind // no list
		value  string
		number int64
	}
	function struct{ name, system, file uint32 }
	mapping  struct {
		start, limit, offset uint64
		filename             uint32
		gnu, golang, htl     uint32 // attributes
	}
	location struct {
		mapping   uint32
		address   uint64
		lines     uint32 // 0: none
		frameType uint32 // attribute
	}
)

const (
	// emptySize is the length of the entries at index 0: six empty ones and a
	// link, of which even an empty one has its two ids written out; the
	// attribute has an empty value.
	emptySize = 5*2 + (2 + 2) + (2 + 2 + 2)

	recentBits = 10

	keyFrameType  = "profile.frame.type"
	keyGNUBuildID = "process.executable.build_id.gnu"
	keyGoBuildID  = "process.executable.build_id.go"
	keyHTLHash    = "process.executable.build_id.htlhash"
)

func newDictionary(r Resolver, demangle func(string) string) *dictionary {
	d := &dictionary{resolver: r, demangle: demangle, size: emptySize, unread: map[uint32]struct{}{}, ofFrame: map[Frame]uint32{}, ofStack: map[uint32]uint32{}}
	d.strings.add("")
	d.attributes.add(attribute{})
	d.functions.add(function{})
	d.mappings.add(mapping{})
	d.locations.add(location{})
	d.stacks.add("")
	d.lines.add("")
	d.sets.add("")
	d.links.add(event.Link{})
	return d
}

// text returns the index of a string.
func (d *dictionary) text(s string) uint32 {
	s = validText(s)
	i, added := d.strings.intern(s)
	if added {
		d.size += bytesSize(len(s))
	}
	return i
}

// attribute returns the index of an attribute whose value is a text, 0 if that is empty.
func (d *dictionary) attribute(key, value string) uint32 {
	if value == "" {
		return 0
	}
	value = validText(value)
	return d.internAttribute(attribute{key: d.text(key), value: value}, bytesSize(len(value)))
}

// number returns the index of an attribute whose value is a number.
func (d *dictionary) number(key string, n int64) uint32 {
	return d.internAttribute(attribute{key: d.text(key), kind: ofNumber, number: n}, intValueSize(n))
}

func (d *dictionary) internAttribute(a attribute, valueSize int) uint32 {
	i, added := d.attributes.intern(a)
	if added {
		d.size += bytesSize(indexSize(a.key) + bytesSize(valueSize))
	}
	return i
}

// link returns the index of a link.
func (d *dictionary) link(l event.Link) uint32 {
	i, added := d.links.intern(l)
	if added {
		d.size += bytesSize(bytesSize(len(l.Trace)) + bytesSize(len(l.Span)))
	}
	return i
}

// function returns the index of the function of a line.
func (d *dictionary) function(l Line) uint32 {
	f := function{name: d.text(l.Function), file: d.text(l.File)}
	if d.demangle != nil {
		if name := d.demangle(l.Function); name != l.Function {
			f.name, f.system = d.text(name), f.name
		}
	}
	i, added := d.functions.intern(f)
	if added {
		d.size += bytesSize(indexSize(f.name) + indexSize(f.system) + indexSize(f.file))
	}
	return i
}

// lineSize is how many bytes a line takes in a key of lines.
const lineSize = 4 + 8

// linesOf returns the index of the lines of a location.
func (d *dictionary) linesOf(lines []Line) uint32 {
	d.lineKey = d.lineKey[:0]
	for _, l := range lines {
		if l.Function == "" {
			continue
		}
		d.lineKey = binary.LittleEndian.AppendUint32(d.lineKey, d.function(l))
		d.lineKey = binary.LittleEndian.AppendUint64(d.lineKey, uint64(max(0, l.Number)))
	}
	i, _ := d.lines.intern(string(d.lineKey))
	return i
}

// eachLine yields the lines of a location.
func (d *dictionary) eachLine(l location, yield func(function uint32, number uint64)) {
	for key := d.lines.keys[l.lines]; key != ""; key = key[lineSize:] {
		b := []byte(key[:lineSize])
		yield(binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint64(b[4:]))
	}
}

// mapping returns the index of a mapping.
func (d *dictionary) mapping(m Mapping) uint32 {
	e := mapping{start: m.Start, limit: m.Limit, offset: m.Offset}
	e.filename = d.text(m.Filename)
	e.gnu = d.attribute(keyGNUBuildID, m.GNUBuildID)
	e.golang = d.attribute(keyGoBuildID, m.GoBuildID)
	e.htl = d.attribute(keyHTLHash, m.HTLHash)
	i, added := d.mappings.intern(e)
	if added {
		size := numberSize(e.start) + numberSize(e.limit) + numberSize(e.offset) + indexSize(e.filename)
		d.size += bytesSize(size + indicesSize(e.buildIDs()...))
	}
	return i
}

// buildIDs returns the attributes of a mapping, by key.
func (m mapping) buildIDs() []uint32 {
	ids := make([]uint32, 0, 3)
	for _, id := range []uint32{m.gnu, m.golang, m.htl} {
		if id != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// location returns the index of the location of a frame.
func (d *dictionary) location(f Frame) uint32 {
	const fibonacci = 0x9e3779b97f4a7c15 // spreads what differs in a few bits
	slot := &d.recent[(f.Offset+uint64(f.Binary)<<48)*fibonacci>>(64-recentBits)]
	if slot.frame == f && slot.location != 0 {
		return slot.location
	}
	i, known := d.ofFrame[f]
	if !known {
		i = d.resolve(f)
		d.ofFrame[f] = i
	}
	slot.frame, slot.location = f, i
	return i
}

// resolve returns the index of the location of a frame not seen before.
func (d *dictionary) resolve(f Frame) uint32 {
	l := d.resolver.Resolve(f)
	e := location{address: l.Address}
	e.mapping = d.mapping(l.Mapping)
	e.lines = d.linesOf(l.Lines)
	e.frameType = d.attribute(keyFrameType, l.FrameType)
	i, added := d.locations.intern(e)
	if added {
		d.size += bytesSize(d.locationSize(e))
	}
	if l.Pending {
		d.unread[i] = struct{}{}
	}
	return i
}

func (d *dictionary) locationSize(l location) int {
	size := indexSize(l.mapping) + numberSize(l.address)
	d.eachLine(l, func(function uint32, number uint64) {
		size += bytesSize(indexSize(function) + numberSize(number))
	})
	if l.frameType != 0 {
		size += indicesSize(l.frameType)
	}
	return size
}

// stack returns the index of the window's stack with this number and key.
// Distinct frames can have equal locations, so distinct stacks of the window can
// be one stack here.
func (d *dictionary) stack(number uint32, stackKey string) uint32 {
	if i, known := d.ofStack[number]; known {
		return i
	}
	d.frames = stackKeyFrames(d.frames, stackKey)
	d.key = d.key[:0]
	size := 0
	for _, f := range d.frames {
		l := d.location(f)
		d.key = binary.LittleEndian.AppendUint32(d.key, l)
		size += varintSize(uint64(l))
	}
	i, added := d.stacks.intern(string(d.key))
	if added {
		d.size += bytesSize(bytesSize(size))
	}
	d.ofStack[number] = i
	return i
}
