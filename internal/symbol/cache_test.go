// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

func hashOnly(t testing.TB, text string) *File {
	f, err := Read(bytes.NewReader([]byte(text)), int64(len(text)), everything)
	assert.ErrorIs(t, err, ErrNotELF)
	return f
}

func key(i uint64) event.FileID { return event.FileID{File: event.File{Inode: i}} }

func TestCache(t *testing.T) {
	f := hashOnly(t, "x")
	one := NewCache[event.FileID](1 << 20)
	one.Put(event.FileID{}, f)
	size := one.Bytes()
	c := NewCache[event.FileID](3 * size)
	for i := range uint64(3) {
		c.Put(key(i), f)
	}
	_, ok := c.Get(key(0)) // now 1 is the oldest
	assert.True(t, ok)
	c.Put(key(3), f)
	assert.Equal(t, 3, c.Len())
	assert.Equal(t, 3*size, c.Bytes())
	assert.Equal(t, uint64(1), c.Evicted())
	_, ok = c.Get(key(1))
	assert.False(t, ok)

	other := hashOnly(t, "y")
	c.Put(key(3), other)
	got, _ := c.Get(key(3))
	assert.Same(t, other, got)
	assert.Equal(t, 3, c.Len())
	assert.Equal(t, uint64(1), c.Evicted(), "replaced is not evicted")
}

// What exceeds the limit alone does not push the others out.
func TestCacheFileTooLarge(t *testing.T) {
	f := hashOnly(t, "x")
	c := NewCache[event.FileID](2 * (f.Bytes() + 200))
	c.Put(key(1), f)
	c.Put(key(2), &File{functions: table{names: names{text: string(make([]byte, 1<<16))}}})
	_, ok := c.Get(key(2))
	assert.False(t, ok)
	_, ok = c.Get(key(1))
	assert.True(t, ok)
	assert.Equal(t, uint64(1), c.Evicted())
}

func TestCacheStaysInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 5000).Draw(t, "limit")
		c := NewCache[event.FileID](limit)
		put := 0
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 2000), 0, 50).Draw(t, "sizes") {
			k := key(uint64(n % 7))
			if _, ok := c.Get(k); !ok {
				put++
			}
			c.Put(k, &File{functions: table{names: names{text: string(make([]byte, n))}}})
			sum := 0
			for _, e := range c.entries {
				sum += e.bytes
			}
			if c.Bytes() != sum || sum > limit || uint64(put) != c.Evicted()+uint64(c.Len()) {
				t.Fatalf("bytes %d, sum %d, limit %d, put %d, evicted %d, len %d", c.Bytes(), sum, limit, put, c.Evicted(), c.Len())
			}
		}
	})
}
