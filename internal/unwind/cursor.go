// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"encoding/binary"
	"fmt"
)

// cursor reads data up to its end. After a failed read it holds the error, and
// reads zeros.
type cursor struct {
	data []byte
	at   int
	addr uint64 // virtual address of data[0]
	err  error
}

var (
	errShort = fmt.Errorf("%w: it ends early", ErrDamaged)
	errLEB   = fmt.Errorf("%w: a number exceeds 64 bits", ErrDamaged)
)

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
		c.at = len(c.data)
	}
}

// more says whether there is something left to read.
func (c *cursor) more() bool { return c.at < len(c.data) }

// take returns the next n bytes, nil if there are fewer.
func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.data)-c.at) {
		c.fail(errShort)
		return nil
	}
	b := c.data[c.at:][:n]
	c.at += int(n)
	return b
}

func (c *cursor) u8() byte {
	if !c.more() {
		c.fail(errShort)
		return 0
	}
	c.at++
	return c.data[c.at-1]
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

// uleb reads an unsigned LEB128 number (DWARF 5 section 7.6).
func (c *cursor) uleb() uint64 {
	var n uint64
	for shift := 0; shift < 64; shift += 7 {
		b := c.u8()
		if shift == 63 && b > 1 {
			break
		}
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	c.fail(errLEB)
	return 0
}

// sleb reads a signed one.
func (c *cursor) sleb() int64 {
	var n int64
	for shift := 0; shift < 64; shift += 7 {
		b := c.u8()
		if shift == 63 && b != 0 && b != 0x7f {
			break
		}
		n |= int64(b&0x7f) << shift
		if b < 0x80 {
			if b >= 0x40 && shift < 57 {
				n |= -1 << (shift + 7)
			}
			return n
		}
	}
	c.fail(errLEB)
	return 0
}

// text reads a string up to its zero byte.
func (c *cursor) text() []byte {
	start := c.at
	for c.more() {
		if c.u8() == 0 {
			return c.data[start : c.at-1]
		}
	}
	c.fail(errShort)
	return nil
}
