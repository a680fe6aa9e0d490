// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Labels are what the samples of an owner differ by, beside their stack. What is zero is
// left out.
type Labels struct {
	Thread   event.Comm
	ThreadID uint32
	// CPU is the number of the CPU plus one.
	CPU uint32
	// End is how the user stack ends, plus one.
	End  event.UserStack
	Link event.Link
}

const (
	keyStackEnd   = "ebpf_profiler.stack_end"
	keyCPU        = "cpu.logical_number"
	keyThreadID   = "thread.id"
	keyThreadName = "thread.name"
)

// keyed is an attribute of a sample.
type keyed struct {
	key   string
	index uint32
}

// set returns the number of a sample's list of attributes: some of its owner's, and those of
// its labels. They are ordered by key.
func (d *dictionary) set(owners []Attribute, l Labels) uint32 {
	d.sample = d.sample[:0]
	for _, a := range owners {
		if a.kind == ofNumber {
			d.sample = append(d.sample, keyed{a.key, d.number(a.key, a.number)})
		} else if i := d.attribute(a.key, a.texts[0]); i != 0 {
			d.sample = append(d.sample, keyed{a.key, i})
		}
	}
	if l.CPU != 0 {
		d.sample = append(d.sample, keyed{keyCPU, d.number(keyCPU, int64(l.CPU)-1)})
	}
	if l.ThreadID != 0 {
		d.sample = append(d.sample, keyed{keyThreadID, d.number(keyThreadID, int64(l.ThreadID))})
	}
	if l.End != 0 {
		d.sample = append(d.sample, keyed{keyStackEnd, d.attribute(keyStackEnd, (l.End - 1).String())})
	}
	if i := d.attribute(keyThreadName, l.Thread.String()); i != 0 {
		d.sample = append(d.sample, keyed{keyThreadName, i})
	}
	slices.SortFunc(d.sample, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
	d.key = d.key[:0]
	for _, a := range d.sample {
		d.key = binary.LittleEndian.AppendUint32(d.key, a.index)
	}
	if i, known := d.sets.index[string(d.key)]; known { // spelled out: only this form avoids the copy
		return i
	}
	return d.sets.add(string(d.key))
}

// ofSet returns the indices of a list of attributes.
func (d *dictionary) ofSet(i uint32) []uint32 {
	var out []uint32
	for key := d.sets.keys[i]; key != ""; key = key[4:] {
		out = append(out, binary.LittleEndian.Uint32([]byte(key[:4])))
	}
	return out
}
