// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import "fmt"

const (
	// longLength introduces a length of eight bytes (DWARF 5 section 7.4).
	longLength = 0xffffffff
	// A CIE of .debug_frame is told from an FDE by the largest number, one of
	// .eh_frame by zero.
	cieID32 = 0xffffffff
	cieID64 = 0xffffffffffffffff
)

// record is a CIE or an FDE: where it is in the section, and what it says first.
type record struct {
	start int // of the record
	body  int // behind the ID
	end   int
	isCIE bool
	cie   uint64 // for an FDE: where its CIE starts
}

// walk calls see with each record of the section. It stops at the first that
// cannot be, because where the next one is cannot be known then.
func (s *section) walk(see func(record)) error {
	c := cursor{data: s.data}
	for c.more() {
		r := record{start: c.at}
		length := uint64(c.u32())
		long := length == longLength
		if long {
			length = c.u64()
		}
		if c.err == nil && length == 0 {
			if s.terminated {
				return nil
			}
			continue // linkers leave terminators in the middle
		}
		begin := c.at
		c.take(length)
		if c.err != nil {
			return fmt.Errorf("%s at %#x: %w", s.name, r.start, c.err)
		}
		r.end = c.at
		if s.readID(&r, begin, long) {
			see(r)
		}
	}
	return nil
}

// readID reads what follows the length at begin. It is false for a record that is
// too short to be one, which is padding.
func (s *section) readID(r *record, begin int, long bool) bool {
	c := cursor{data: s.data[:r.end], at: begin}
	switch {
	case s.eh: // four bytes, even behind a length of eight (LSB 5.0, Core, 10.6.1)
		id := c.u32()
		r.isCIE, r.cie = id == 0, uint64(begin)-uint64(id)
	case long:
		r.cie = c.u64()
		r.isCIE = r.cie == cieID64
	default:
		r.cie = uint64(c.u32())
		r.isCIE = r.cie == cieID32
	}
	r.body = c.at
	return c.err == nil
}
