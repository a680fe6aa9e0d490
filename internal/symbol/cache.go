// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"unsafe"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Cache keeps Files by key, bounded in bytes; the least recently used go first.
// It is not safe for concurrent use: one goroutine owns it.
type Cache struct {
	limit   int
	bytes   int
	evicted uint64
	entries map[event.FileID]*entry
	// used is the head of a ring: next is the most recently used entry.
	used entry
}

type entry struct {
	key        event.FileID
	file       *File
	bytes      int
	next, prev *entry
}

// NewCache makes a cache of at most limit bytes.
func NewCache(limit int) *Cache {
	c := &Cache{limit: limit, entries: make(map[event.FileID]*entry)}
	c.used.next, c.used.prev = &c.used, &c.used
	return c
}

// Get returns the file and counts as use of it.
func (c *Cache) Get(k event.FileID) (*File, bool) {
	e, ok := c.entries[k]
	if !ok {
		return nil, false
	}
	e.unlink()
	c.link(e)
	return e.file, true
}

// Put keeps the file, replacing one of the same key. To make room it evicts
// others, and f itself if it alone exceeds the limit.
func (c *Cache) Put(k event.FileID, f *File) {
	if e, ok := c.entries[k]; ok {
		c.drop(e)
	}
	// The entry is twice in memory: as entry, and as key and pointer in the map.
	const overhead = 2 * int(unsafe.Sizeof(entry{}))
	e := &entry{key: k, file: f, bytes: f.Bytes() + overhead}
	c.entries[k] = e
	c.bytes += e.bytes
	c.link(e)
	if e.bytes > c.limit {
		c.drop(e) // the others can stay
		c.evicted++
	}
	for c.bytes > c.limit {
		c.drop(c.used.prev)
		c.evicted++
	}
}

// Len is the number of files.
func (c *Cache) Len() int { return len(c.entries) }

// Bytes is the memory of the files and of the cache itself.
func (c *Cache) Bytes() int { return c.bytes }

// Evicted counts the files that had to go for lack of room.
func (c *Cache) Evicted() uint64 { return c.evicted }

func (c *Cache) drop(e *entry) {
	e.unlink()
	delete(c.entries, e.key)
	c.bytes -= e.bytes
}

func (c *Cache) link(e *entry) {
	e.next, e.prev = c.used.next, &c.used
	e.next.prev, e.prev.next = e, e
}

func (e *entry) unlink() { e.next.prev, e.prev.next = e.prev, e.next }
