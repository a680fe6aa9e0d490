// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

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
	p := t.pcs[off:]
	value, until := int32(-1), int64(0)
	for i, first := 0, true; *steps > 0; first = false {
		*steps--
		d, n := varint(p[i:])
		if n == 0 || d == 0 && !first {
			return -1
		}
		i += n
		value += unzigzag(d)
		if d, n = varint(p[i:]); n == 0 {
			return -1
		}
		i += n
		if until += int64(d) * int64(t.quantum); pc < until {
			return value
		}
	}
	return -1
}

// measure returns the size of the pc table that b begins with and its largest
// value, or false if it does not end in b.
func measure(b []byte) (size int, largest int32, ok bool) {
	value := int32(-1)
	largest = value
	for i, first := 0, true; ; first = false {
		d, n := varint(b[i:])
		if n == 0 {
			return 0, 0, false
		}
		i += n
		if d == 0 && !first {
			return i, largest, true
		}
		value += unzigzag(d)
		largest = max(largest, value)
		if _, n = varint(b[i:]); n == 0 {
			return 0, 0, false
		}
		i += n
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
