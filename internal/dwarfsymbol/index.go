// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/interval"
)

const (
	// maxUnits bounds the units of a file; Chromium has some 40,000.
	maxUnits = 1 << 20
	// maxIndexed bounds the ranges of addresses of all units.
	maxIndexed = 4 << 20
)

// Index tells which unit is about an address. It is immutable, and safe for concurrent
// use. A range of addresses costs 16 bytes, a unit 8.
type Index struct {
	starts  []uint64 // ascending
	sizes   []uint32
	units   []uint32 // number of the unit
	offsets []uint64 // of all units, ascending
	// Damaged is the number of units that were left out.
	Damaged int
}

// Index reads the headers and ranges of all units.
func (d *Debug) Index() (*Index, error) {
	d.budget()
	return d.readIndex()
}

func (d *Debug) readIndex() (*Index, error) {
	if d.info == nil || d.abbrev == nil {
		return nil, ErrNone
	}
	x := &Index{}
	var all []unitRange
	for off := uint64(0); off < d.info.size; {
		if len(x.offsets) == maxUnits {
			return nil, fmt.Errorf("%w: more than %d units", ErrTooLarge, maxUnits)
		}
		n := uint32(len(x.offsets))
		u, err := d.readUnit(d.sections, off, nil)
		if err == nil {
			err = u.extents(u.low, u.high, u.ranges, func(e extent) {
				if d.keeps(e) && e.end-e.start <= math.MaxUint32 && len(all) <= maxIndexed {
					all = append(all, unitRange{e, n})
				}
			})
		}
		if err != nil {
			if lost := d.look(); lost != nil {
				return nil, lost
			}
			x.Damaged++
		}
		if u == nil {
			break // how long it is is not known
		}
		x.offsets = append(x.offsets, off)
		if len(all) > maxIndexed {
			return nil, fmt.Errorf("%w: more than %d ranges", ErrTooLarge, maxIndexed)
		}
		off += u.size
	}
	x.place(all)
	return x, nil
}

// unitRange is a range of addresses of a unit.
type unitRange struct {
	extent
	unit uint32
}

// place makes the ranges disjoint. Of functions that several units have, such as those of
// templates, the linker keeps that of the first, and may let the others' entries point
// there, without their lines: of ranges that begin together the first counts. Of others
// that overlap, which they should not, the one that begins later does. Neighbours of one
// unit become one.
func (x *Index) place(all []unitRange) {
	slices.SortFunc(all, func(a, b unitRange) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.unit, a.unit), cmp.Compare(b.end, a.end))
	})
	var out []unitRange
	at := func(i int) (start, end uint64) { return all[i].start, all[i].end }
	interval.Flatten(len(all), at, func(start, end uint64, i int) {
		if n := len(out); n > 0 && out[n-1].unit == all[i].unit && out[n-1].end == start && end-out[n-1].start <= math.MaxUint32 {
			out[n-1].end = end
			return
		}
		out = append(out, unitRange{extent{start, end}, all[i].unit})
	})
	x.starts, x.sizes, x.units = make([]uint64, len(out)), make([]uint32, len(out)), make([]uint32, len(out))
	for i, r := range out {
		x.starts[i], x.sizes[i], x.units[i] = r.start, uint32(r.end-r.start), r.unit
	}
	x.offsets = slices.Clip(x.offsets)
}

// Unit returns the number of the unit that is about addr.
func (x *Index) Unit(addr uint64) (n uint32, ok bool) {
	i, found := slices.BinarySearch(x.starts, addr)
	if !found {
		i--
	}
	if i < 0 || addr-x.starts[i] >= uint64(x.sizes[i]) {
		return 0, false
	}
	return x.units[i], true
}

// around returns the offset of the unit that the offset in .debug_info lies in.
func (x *Index) around(off uint64) (uint64, bool) {
	i, found := slices.BinarySearch(x.offsets, off)
	if !found {
		i--
	}
	if i < 0 {
		return 0, false
	}
	return x.offsets[i], true
}

// Units is the number of units.
func (x *Index) Units() int { return len(x.offsets) }

// Bytes is the memory the Index holds.
func (x *Index) Bytes() int {
	return int(unsafe.Sizeof(*x)) + 8*cap(x.starts) + 4*cap(x.sizes) + 4*cap(x.units) + 8*cap(x.offsets)
}
