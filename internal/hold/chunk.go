// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package hold

import (
	"unsafe"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

const (
	// chunkBytes is the size of a chunk, headers aside.
	chunkBytes = 64 << 10
	// chunkSamples leaves room for about 45 frames for each sample.
	chunkSamples = 128
	sampleBytes  = int(unsafe.Sizeof(event.Sample{}))
	chunkFrames  = (chunkBytes - chunkSamples*sampleBytes) / 8
)

// chunk is a fixed piece of memory. It never moves, so the samples' stacks may
// point into it.
type chunk struct {
	samples [chunkSamples]event.Sample
	// frames[:filled] back the stacks of samples[:n], in the same order.
	frames    [chunkFrames]uint64
	n, filled int
}

// add copies s to the end of the chunk, which may lie before the place of s in
// the same chunk. False: no room.
func (c *chunk) add(s *event.Sample) bool {
	need := len(s.Kernel) + len(s.User)
	if c.n == chunkSamples || c.filled+need > chunkFrames {
		return false
	}
	d := &c.samples[c.n]
	kernel, user := s.Kernel, s.User
	*d = *s
	d.Kernel = c.keep(kernel)
	d.User = c.keep(user)
	c.n++
	return true
}

func (c *chunk) keep(frames []uint64) []uint64 {
	at := c.filled
	c.filled += copy(c.frames[at:], frames)
	return c.frames[at:c.filled:c.filled]
}

// rewind returns the number of samples and, if wanted, makes the chunk start
// over; the samples stay readable until they are overwritten.
func (c *chunk) rewind(over bool) int {
	n := c.n
	if over {
		c.n, c.filled = 0, 0
	}
	return n
}
