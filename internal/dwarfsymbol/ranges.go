// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"fmt"
	"math"
)

// maxRanges bounds the ranges of one entry. A unit has one per function at most.
const maxRanges = 1 << 18

// extents calls yield with the ranges of addresses of an entry.
func (u *unit) extents(low, high, ranges value, yield func(extent)) error {
	switch {
	case ranges.there():
		if u.version >= 5 {
			return u.rangeList(ranges, yield)
		}
		return u.oldRanges(ranges.n, yield)
	case low.there() && high.there():
		start, err := u.address(low)
		if err != nil {
			return err
		}
		end := high.n + start
		if high.form == formAddr || high.form == formAddrx || high.form >= formAddrx1 && high.form <= formAddrx4 || high.form == formGNUAddrIndex {
			if end, err = u.address(high); err != nil {
				return err
			}
		}
		yield(extent{start, end})
	}
	return nil
}

// oldRanges reads a list in .debug_ranges (DWARF 4, 2.17.3).
func (u *unit) oldRanges(off uint64, yield func(extent)) error {
	s := u.debug.ranges
	if u.skeleton != nil {
		s = u.skeleton.debug.ranges
		off += u.rangesBase
	}
	if s == nil {
		return fmt.Errorf("%w: ranges in a section that is not there", ErrDamaged)
	}
	base, removed := u.base, false
	for range maxRanges {
		b, err := s.view(off, 16)
		if err != nil {
			return err
		}
		if err := u.debug.spend(len(b)); err != nil {
			return err
		}
		c := cursor{b: b}
		start, end := c.u64(), c.u64()
		off += 16
		switch {
		case start == 0 && end == 0:
			return nil
		case start == math.MaxUint64:
			base, removed = end, end != 0 && tombstone(end) // LLVM goes back to addresses from 0 on
		case !removed:
			yield(extent{base + start, base + end})
		}
	}
	return fmt.Errorf("%w: more than %d ranges", ErrTooLarge, maxRanges)
}

// Entries of range lists (DWARF 5, 7.25).
const (
	rleEnd = iota
	rleBaseIndexed
	rleIndexedIndexed
	rleIndexedLength
	rleOffsets
	rleBase
	rleStartEnd
	rleStartLength
)

// rangeList reads a list in .debug_rnglists (DWARF 5, 2.17.3).
func (u *unit) rangeList(v value, yield func(extent)) error {
	s := u.rnglists
	if s == nil {
		return fmt.Errorf("%w: ranges in a section that is not there", ErrDamaged)
	}
	off := v.n
	if v.form == formRnglistx {
		at, err := s.number(u.rnglistsBase+v.n*uint64(u.word), u.word)
		if err != nil {
			return err
		}
		off = u.rnglistsBase + at
	}
	base, removed := u.base, false
	for range maxRanges {
		b, err := s.rest(off, 32)
		if err != nil {
			return err
		}
		c := cursor{b: b}
		e, kind, err := u.rangeEntry(&c, &base)
		if err != nil {
			return err
		}
		if c.short {
			return fmt.Errorf("%w: a list of ranges does not end", ErrDamaged)
		}
		off += uint64(len(b) - len(c.b))
		if err := u.debug.spend(len(b) - len(c.b)); err != nil {
			return err
		}
		switch kind {
		case rleEnd:
			return nil
		case rleBase, rleBaseIndexed:
			removed = tombstone(base)
		case rleOffsets:
			if !removed {
				yield(e)
			}
		default:
			yield(e)
		}
	}
	return fmt.Errorf("%w: more than %d ranges", ErrTooLarge, maxRanges)
}

// rangeEntry reads one entry of a list.
func (u *unit) rangeEntry(c *cursor, base *uint64) (e extent, kind uint8, err error) {
	kind = c.u8()
	switch kind {
	case rleEnd:
	case rleBaseIndexed:
		*base, err = u.indexed(c.uleb())
	case rleBase:
		*base = c.u64()
	case rleIndexedIndexed:
		if e.start, err = u.indexed(c.uleb()); err == nil {
			e.end, err = u.indexed(c.uleb())
		}
	case rleIndexedLength:
		e.start, err = u.indexed(c.uleb())
		e.end = e.start + c.uleb()
	case rleOffsets:
		e = extent{*base + c.uleb(), *base + c.uleb()}
	case rleStartEnd:
		e = extent{c.u64(), c.u64()}
	case rleStartLength:
		e.start = c.u64()
		e.end = e.start + c.uleb()
	default:
		err = fmt.Errorf("%w: an entry %d in a list of ranges", ErrDamaged, kind)
	}
	return e, kind, err
}
