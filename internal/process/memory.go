// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// maxRegions bounds what is known of one memory, now and formerly.
const (
	maxRegions = 16384
	maxFormer  = 4096
)

// memory is what the executable memory of an image held, and when. A process and
// its forks share one until either of them changes it.
type memory struct {
	// regions are those of now, ascending and disjoint.
	regions []*region
	// former are those that ended after the last completion but one, by their end.
	former []former
	shared bool
	// proven: whatever was mapped from then on is known, because the image began
	// then, or /proc was read. Zero: a part only is known.
	proven event.KTime
	// read is when the last read of /proc began that was taken over.
	read event.KTime
	// version changes whenever the memory does; newest is since when the newest region is.
	version uint64
	newest  event.KTime
	// executable is the path of the program; fresh: its mapping comes next.
	executable string
	fresh      bool
}

// region is a mapping from a moment on. It does not change.
type region struct {
	event.Mapping
	since event.KTime
}

type former struct {
	*region
	until event.KTime
}

// find returns what was mapped at addr at time k; nil: nothing, or not known.
func (m *memory) find(addr uint64, k event.KTime) *event.Mapping {
	if r := m.regionAt(addr, k); r != nil {
		return &r.Mapping
	}
	return nil
}

func (m *memory) regionAt(addr uint64, k event.KTime) *region {
	if m == nil {
		return nil
	}
	if i := m.above(addr); i < len(m.regions) {
		if r := m.regions[i]; r.Start <= addr && r.since <= k {
			return r
		}
	}
	for i := len(m.former) - 1; i >= 0 && k < m.former[i].until; i-- {
		if f := m.former[i]; f.Start <= addr && addr < f.End && f.since <= k {
			return f.region
		}
	}
	return nil
}

// replaced reports whether other code was at addr at a time before k.
func (m *memory) replaced(addr uint64, k, before event.KTime) bool {
	r := m.regionAt(addr, k)
	if r == nil || r.since <= before {
		return false
	}
	old := m.regionAt(addr, before)
	if old == nil {
		return r.InFile() // what was there is forgotten
	}
	return old.ID() != r.ID() || r.InFile() && old.Start-old.Offset != r.Start-r.Offset
}

// above is the index of the first region that ends above addr.
func (m *memory) above(addr uint64) int {
	return sort.Search(len(m.regions), func(i int) bool { return m.regions[i].End > addr })
}

// own returns the memory to change: a copy if it is shared.
func (m *memory) own() *memory {
	if !m.shared {
		return m
	}
	c := *m
	c.regions, c.former, c.shared = slices.Clone(m.regions), slices.Clone(m.former), false
	return &c
}

// changedSince reports whether anything was mapped from k on.
func (m *memory) changedSince(k event.KTime) bool {
	return slices.ContainsFunc(m.regions, func(r *region) bool { return r.since >= k }) ||
		len(m.former) > 0 && m.former[len(m.former)-1].until >= k
}

// certain is the memory without what changed from k on: a part of what there is.
func (m *memory) certain(k event.KTime) *memory {
	c := &memory{read: m.read, executable: m.executable}
	for _, r := range m.regions {
		if r.since < k {
			c.regions = append(c.regions, r)
		}
	}
	return c
}

// put maps a region in place of what it overlaps. It returns how many regions, new
// or former, there was no room for.
func (m *memory) put(r *region) (refused int) {
	i := m.above(r.Start)
	j := i
	for j < len(m.regions) && m.regions[j].Start < r.End {
		j++
	}
	switch {
	case j == i && len(m.regions) >= maxRegions:
		return 1
	case j == i+1 && m.regions[i].Mapping == r.Mapping:
		return 0 // such as a protection that was changed back
	}
	m.newest = max(m.newest, r.since)
	// What is left of a region that r splits may find no room; r does.
	room := maxRegions - len(m.regions) + (j - i) - 1
	pieces := make([]*region, 0, 3)
	if i < j && m.regions[i].Start < r.Start {
		if room > 0 {
			pieces = append(pieces, m.regions[i].cut(m.regions[i].Start, r.Start))
		} else {
			refused++
		}
		room--
	}
	pieces = append(pieces, r)
	if i < j && m.regions[j-1].End > r.End {
		if room > 0 {
			pieces = append(pieces, m.regions[j-1].cut(r.End, m.regions[j-1].End))
		} else {
			refused++
		}
	}
	for _, old := range m.regions[i:j] {
		refused += m.end(old, r.since)
	}
	m.regions = slices.Replace(m.regions, i, j, pieces...)
	return refused
}

// cut returns the part of a region that remains.
func (r *region) cut(start, end uint64) *region {
	c := *r
	if c.InFile() {
		c.Offset += start - c.Start
	}
	c.Start, c.End = start, end
	return &c
}

func (m *memory) end(r *region, until event.KTime) (refused int) {
	if len(m.former) >= maxFormer {
		return 1
	}
	m.former = append(m.former, former{r, until})
	return 0
}

// forget drops what ended by the completion w.
func (m *memory) forget(w event.KTime) {
	n := 0
	for n < len(m.former) && m.former[n].until <= w {
		n++
	}
	if n > 0 {
		m.former = slices.Delete(m.former, 0, n)
	}
}

// take lays a read of /proc that took place in [from, to] below what was mapped
// since from. What it did not find has ended by to, unless it lies beyond the end of
// what was read. Records have been put here from fed on. It returns how many former
// regions there was no room for.
func (m *memory) take(read []event.Mapping, end uint64, from, to, fed event.KTime) (refused int) {
	before := m.regions
	later := &memory{}
	for _, r := range before {
		if r.since >= from {
			later.regions = append(later.regions, r)
		}
	}
	m.regions = slices.Clone(later.regions)
	for i := range read {
		for _, piece := range later.gaps(read[i]) {
			r := m.recognise(piece, before, from, fed)
			m.newest = max(m.newest, r.since)
			m.regions = append(m.regions, r)
		}
	}
	slices.SortFunc(m.regions, func(a, b *region) int { return cmp.Compare(a.Start, b.Start) })
	for _, r := range before {
		switch {
		case r.since >= from || m.has(r):
		case r.Start >= end:
			m.regions = append(m.regions, r)
		default:
			refused += m.end(r, to)
		}
	}
	m.read, m.fresh = from, false
	if from >= fed { // else records were missed while it was read
		m.proven = from
	}
	return refused
}

// gaps returns the parts of a mapping where there is no region.
func (m *memory) gaps(whole event.Mapping) (parts []event.Mapping) {
	r := region{Mapping: whole}
	for i := m.above(whole.Start); i < len(m.regions) && m.regions[i].Start < whole.End; i++ {
		if m.regions[i].Start > r.Start {
			parts = append(parts, r.cut(r.Start, m.regions[i].Start).Mapping)
		}
		r = *r.cut(min(m.regions[i].End, whole.End), whole.End)
	}
	if r.Start < r.End {
		parts = append(parts, r.Mapping)
	}
	return parts
}

// recognise returns the region that a mapping of a read is: one that is known, or a
// new one. That was there as long as records would have told of another, unless one
// did.
func (m *memory) recognise(read event.Mapping, before []*region, from, fed event.KTime) *region {
	since := fed
	i := sort.Search(len(before), func(i int) bool { return before[i].End > read.Start })
	if i < len(before) && before[i].Start < read.End {
		if r := before[i]; r.same(&read) {
			known := *r
			if known.BuildID == "" && read.File != (event.File{}) {
				known.File = read.File
			}
			return &known
		}
		since = from
	}
	if len(m.former) > 0 {
		since = from // one of them may have been there
	}
	return &region{read, since}
}

// same reports whether a read shows this very region.
func (r *region) same(read *event.Mapping) bool {
	return r.Start == read.Start && r.End == read.End && r.Offset == read.Offset && r.Path == read.Path &&
		(r.BuildID != "" || r.File.Inode == read.File.Inode || read.File == event.File{})
}

// has reports whether the very region is among those of now.
func (m *memory) has(r *region) bool {
	i := m.above(r.Start)
	return i < len(m.regions) && m.regions[i].Start == r.Start && m.regions[i].since == r.since
}

// name takes the path of the program from its first mapping.
func (m *memory) name(path string) {
	if m.fresh && strings.HasPrefix(path, "/") {
		m.executable, m.fresh = path, false
	}
}
