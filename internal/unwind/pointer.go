// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import "fmt"

// Encodings of pointers (LSB 5.0, Core, section 10.5.1): a format, and what the
// value is relative to.
const (
	formatMask  = 0x0f
	formatAbs   = 0x00
	formatULEB  = 0x01
	formatU16   = 0x02
	formatU32   = 0x03
	formatU64   = 0x04
	formatSLEB  = 0x09
	formatS16   = 0x0a
	formatS32   = 0x0b
	formatS64   = 0x0c
	relMask     = 0x70
	relNone     = 0x00
	relPC       = 0x10
	relData     = 0x30
	relAligned  = 0x50
	indirect    = 0x80
	omitPointer = 0xff
)

// value reads what is stored of a pointer, sign-extended.
func (c *cursor) value(encoding byte) uint64 {
	switch encoding & formatMask {
	case formatAbs, formatU64, formatS64:
		return c.u64()
	case formatULEB:
		return c.uleb()
	case formatU16:
		return uint64(c.u16())
	case formatU32:
		return uint64(c.u32())
	case formatSLEB:
		return uint64(c.sleb())
	case formatS16:
		return uint64(int16(c.u16()))
	case formatS32:
		return uint64(int32(c.u32()))
	}
	c.fail(fmt.Errorf("%w: pointer encoding %#x", ErrDamaged, encoding))
	return 0
}

// pointer reads an address. Zero is the null pointer whatever it is relative to
// (libgcc, unwind-pe.h, read_encoded_value_with_base). What is relative to data
// counts from the start of the section, which only .eh_frame_hdr does.
func (c *cursor) pointer(encoding byte) uint64 {
	at := c.addr + uint64(c.at)
	if encoding&indirect != 0 {
		c.fail(fmt.Errorf("%w: an indirect pointer (%#x)", ErrDamaged, encoding))
	}
	v := c.value(encoding)
	if v == 0 {
		return 0
	}
	switch encoding & relMask {
	case relNone:
		return v
	case relPC:
		return at + v
	case relData:
		return c.addr + v
	}
	c.fail(fmt.Errorf("%w: pointer encoding %#x", ErrDamaged, encoding))
	return 0
}
