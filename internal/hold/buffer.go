// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package hold keeps samples, raw, until a completion covers them: only then is
// everything known that decides whose they are.
package hold

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"

// trimEvery is how many releases pass before memory that none of them needed is
// given back. It keeps the steady state free of allocations.
const trimEvery = 16

// Buffer is a bounded list of samples with their stacks.
type Buffer struct {
	// chunks[:used] hold samples, in arrival order; the rest are spare.
	chunks []*chunk
	used   int
	// limit is how many chunks there may be.
	limit int
	count int
	// peak is the largest used since the last trim; releases counts up to it.
	peak, releases int
}

// New returns a buffer that takes at most about maxBytes of memory, and at least
// one chunk (64 KiB).
func New(maxBytes int) *Buffer {
	return &Buffer{limit: max(1, maxBytes/chunkBytes)}
}

// Add copies the sample and its stacks. False means the buffer is full, or the
// stacks are larger than any chunk: the sample was not taken.
func (b *Buffer) Add(s event.Sample) bool {
	if b.used > 0 && b.chunks[b.used-1].add(&s) {
		b.count++
		return true
	}
	if b.used == b.limit || len(s.Kernel)+len(s.User) > chunkFrames {
		return false
	}
	if b.used == len(b.chunks) {
		b.chunks = append(b.chunks, new(chunk))
	}
	c := b.chunks[b.used]
	c.rewind(true)
	b.used++
	b.count++
	return c.add(&s)
}

// Release yields every sample with KTime <= until, in arrival order, and keeps
// the others. A sample is valid during the call only, and yield must not use
// the buffer.
func (b *Buffer) Release(until event.KTime, yield func(*event.Sample)) {
	b.peak = max(b.peak, b.used)
	// Kept samples are packed towards the front. A subsequence packed by the same
	// rule never overtakes the original, so nothing unread is overwritten.
	w, kept := 0, 0
	for r := range b.used {
		from := b.chunks[r]
		n := from.rewind(r == w)
		for i := range n {
			s := &from.samples[i]
			if s.KTime <= until {
				yield(s)
				continue
			}
			kept++
			if !b.chunks[w].add(s) {
				w++
				b.chunks[w].rewind(true)
				b.chunks[w].add(s)
			}
		}
	}
	b.count = kept
	b.used = 0
	if kept > 0 {
		b.used = w + 1
	}
	b.trim()
}

// Len is how many samples wait.
func (b *Buffer) Len() int { return b.count }

// Bytes is how much memory the buffer holds, spare chunks included.
func (b *Buffer) Bytes() int { return len(b.chunks) * chunkBytes }

// trim gives back, every few releases, the chunks that were not needed lately.
func (b *Buffer) trim() {
	if b.releases++; b.releases < trimEvery {
		return
	}
	keep := max(b.used, b.peak)
	if keep < len(b.chunks) {
		b.chunks = append(make([]*chunk, 0, keep), b.chunks[:keep]...)
	}
	b.releases, b.peak = 0, b.used
}
