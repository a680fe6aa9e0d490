// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"bytes"
	"encoding/binary"
)

// cursor reads numbers. Behind the end they are zero, and short is set.
type cursor struct {
	b     []byte
	short bool
}

// take returns the next n bytes, nil if there are fewer.
func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.b, c.short = nil, true
		return nil
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) u8() uint8 {
	if len(c.b) == 0 {
		c.short = true
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// word reads an offset or length: 4 or 8 bytes.
func (c *cursor) word(size int) uint64 {
	if size == 8 {
		return c.u64()
	}
	return uint64(c.u32())
}

// uleb reads an unsigned LEB128; bits beyond 64 are lost.
func (c *cursor) uleb() uint64 {
	v := uint64(0)
	for shift := uint(0); ; shift += 7 {
		b := c.u8()
		if shift < 64 {
			v |= uint64(b&0x7f) << shift
		}
		if b < 0x80 {
			return v
		}
	}
}

// sleb reads a signed LEB128.
func (c *cursor) sleb() int64 {
	v := int64(0)
	for shift := uint(0); ; shift += 7 {
		b := c.u8()
		if shift < 64 {
			v |= int64(b&0x7f) << shift
		}
		if b < 0x80 {
			if shift += 7; b&0x40 != 0 && shift < 64 {
				v |= -1 << shift
			}
			return v
		}
	}
}

// text reads up to a zero byte.
func (c *cursor) text() []byte {
	i := bytes.IndexByte(c.b, 0)
	if i < 0 {
		c.b, c.short = nil, true
		return nil
	}
	out := c.b[:i]
	c.b = c.b[i+1:]
	return out
}

// length reads an initial length and returns with it the size of offsets
// (DWARF 5, 7.4).
func (c *cursor) length() (n uint64, word int) {
	switch v := c.u32(); {
	case v == 0xffffffff:
		return c.u64(), 8
	case v >= 0xfffffff0:
		c.short = true // reserved
		return 0, 4
	default:
		return uint64(v), 4
	}
}
