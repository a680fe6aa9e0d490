// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import "unsafe"

// Sized knows how much memory it holds.
type Sized interface{ Bytes() int }

// Cache keeps what was read by key, bounded in bytes; the least recently used goes
// first. It is not safe for concurrent use: one goroutine owns it.
type Cache[K comparable] struct {
	limit   int
	bytes   int
	evicted uint64
	entries map[K]*entry[K]
	// used is the head of a ring: next is the most recently used entry.
	used entry[K]
}

type entry[K comparable] struct {
	key        K
	content    Sized
	bytes      int
	next, prev *entry[K]
}

// NewCache makes a cache of at most limit bytes.
func NewCache[K comparable](limit int) *Cache[K] {
	c := &Cache[K]{limit: limit, entries: make(map[K]*entry[K])}
	c.used.next, c.used.prev = &c.used, &c.used
	return c
}

// Get returns what is kept and counts as use of it.
func (c *Cache[K]) Get(k K) (Sized, bool) {
	e, ok := c.entries[k]
	if !ok {
		return nil, false
	}
	e.unlink()
	c.link(e)
	return e.content, true
}

// Put keeps content, replacing that of the same key. To make room it evicts others,
// and content itself if it alone exceeds the limit, which it says.
func (c *Cache[K]) Put(k K, content Sized) (kept bool) {
	if e, ok := c.entries[k]; ok {
		c.drop(e)
	}
	// The entry is twice in memory: as entry, and as key and pointer in the map.
	overhead := 2 * int(unsafe.Sizeof(entry[K]{}))
	e := &entry[K]{key: k, content: content, bytes: content.Bytes() + overhead}
	c.entries[k] = e
	c.bytes += e.bytes
	c.link(e)
	if e.bytes > c.limit {
		c.drop(e) // the others can stay
		c.evicted++
		return false
	}
	for c.bytes > c.limit {
		c.drop(c.used.prev)
		c.evicted++
	}
	return true
}

// Len is the number of entries.
func (c *Cache[K]) Len() int { return len(c.entries) }

// Bytes is the memory of the content and of the cache itself.
func (c *Cache[K]) Bytes() int { return c.bytes }

// Evicted counts the entries that had to go for lack of room.
func (c *Cache[K]) Evicted() uint64 { return c.evicted }

func (c *Cache[K]) drop(e *entry[K]) {
	e.unlink()
	delete(c.entries, e.key)
	c.bytes -= e.bytes
}

func (c *Cache[K]) link(e *entry[K]) {
	e.next, e.prev = c.used.next, &c.used
	e.next.prev, e.prev.next = e, e
}

func (e *entry[K]) unlink() { e.next.prev, e.prev.next = e.prev, e.next }
