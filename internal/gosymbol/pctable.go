// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"errors"
	"fmt"
	"iter"
)

// A pc table gives a value to each address of a function: pairs of a difference
// of values, zigzag-coded, and a number of instruction units that have the value,
// both as varints. It starts from the value -1 at the start of the function and
// ends where a difference of 0 follows the first pair.

// value returns the value of the pc table at off for an address of the function,
// -1 if there is none.
func (t *Table) value(off uint32, pc int64, steps *int) int32 {
	if off == 0 || uint64(off) >= uint64(len(t.pcs)) {
		return -1
	}
	// It is the hot loop of a lookup. Most numbers have one byte.
	p := t.pcs[off:]
	value, until, left := int32(-1), int64(0), *steps
	for i, first := 0, true; left > 0 && i < len(p); first = false {
		left--
		d, n := uint32(p[i]), 1
		if d >= 0x80 {
			if d, n = varint(p[i:]); n == 0 {
				break
			}
		}
		if d == 0 && !first {
			break
		}
		if i += n; i >= len(p) {
			break
		}
		value += unzigzag(d)
		if d, n = uint32(p[i]), 1; d >= 0x80 {
			if d, n = varint(p[i:]); n == 0 {
				break
			}
		}
		i += n
		if until += int64(d) * int64(t.quantum); pc < until {
			*steps = left
			return value
		}
	}
	*steps = left
	return -1
}

// errCut: a pc table does not end where it should.
var errCut = errors.New("pc table is cut")

// measure returns the size of the pc table that b begins with and its largest
// value, errCut if it does not end in b, or ErrTooLarge.
func measure(b []byte) (size int, largest int32, err error) {
	value := int32(-1)
	largest = value
	for i, entries := 0, 0; ; entries++ {
		d, n := varint(b[i:])
		if n == 0 {
			return 0, 0, errCut
		}
		i += n
		if d == 0 && entries > 0 {
			return i, largest, nil
		}
		if entries == maxEntries {
			return 0, 0, fmt.Errorf("%w: more than %d entries", ErrTooLarge, maxEntries)
		}
		value += unzigzag(d)
		largest = max(largest, value)
		if _, n = varint(b[i:]); n == 0 {
			return 0, 0, errCut
		}
		i += n
	}
}

// values yields the values of the pc table that b begins with.
func values(b []byte) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		value := int32(-1)
		for first := true; ; first = false {
			d, n := varint(b)
			if n == 0 || d == 0 && !first {
				return
			}
			value += unzigzag(d)
			_, m := varint(b[n:])
			if m == 0 || !yield(value) {
				return
			}
			b = b[n+m:]
		}
	}
}

// varint returns the number that b begins with and its size, 0 if there is none.
func varint(b []byte) (v uint32, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint32(b[0]), 1
	}
	for shift := 0; n < len(b) && n < 5; shift += 7 {
		c := b[n]
		n++
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v, n
		}
	}
	return 0, 0
}

// unzigzag returns 0, -1, 1, -2, 2 for 0, 1, 2, 3, 4.
func unzigzag(d uint32) int32 { return int32(d>>1) ^ -int32(d&1) }
