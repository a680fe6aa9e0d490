// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLEB128(t *testing.T) {
	for _, n := range []uint64{0, 1, 63, 64, 127, 128, 1 << 32, 1 << 62, 1 << 63, math.MaxUint64} {
		c := cursor{data: append(uleb(n), 0x55)}
		assert.Equal(t, n, c.uleb())
		assert.Equal(t, byte(0x55), c.u8())
		assert.NoError(t, c.err)
		for _, n := range []int64{int64(n), -int64(n), -int64(n) - 1} {
			c := cursor{data: append(sleb(n), 0x55)}
			assert.Equal(t, n, c.sleb(), "%d", n)
			assert.Equal(t, byte(0x55), c.u8())
			assert.NoError(t, c.err)
		}
	}
	padded := cursor{data: []byte{0x81, 0x80, 0x00, 0xff, 0xff, 0x7f}}
	assert.Equal(t, uint64(1), padded.uleb())
	assert.Equal(t, int64(-1), padded.sleb())
}

// After an error a cursor reads zeros, and keeps the first error.
func TestCursorAtItsEnd(t *testing.T) {
	for name, read := range map[string]func(*cursor) uint64{
		"u8":   func(c *cursor) uint64 { return uint64(c.u8()) },
		"u16":  func(c *cursor) uint64 { return uint64(c.u16()) },
		"u32":  func(c *cursor) uint64 { return uint64(c.u32()) },
		"u64":  func(c *cursor) uint64 { return c.u64() },
		"uleb": func(c *cursor) uint64 { return c.uleb() },
		"sleb": func(c *cursor) uint64 { return uint64(c.sleb()) },
		"text": func(c *cursor) uint64 { return uint64(len(c.text())) },
	} {
		c := cursor{data: []byte{0x80}, at: 1}
		assert.Zero(t, read(&c), name)
		assert.ErrorIs(t, c.err, ErrDamaged, name)
		assert.False(t, c.more(), name)
	}
	c := cursor{data: []byte{0x80, 0x80}}
	assert.Zero(t, c.uleb())
	assert.Zero(t, c.u8())
	assert.Equal(t, errShort, c.err)
}
