// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package source is the kernel edge: it loads and attaches the programs, opens
// the sampling events, waits for grace periods, and drains every buffer into
// batches of events.
//
// A Source is used by one goroutine, with the exception of Barrier, which blocks
// for a grace period and has a goroutine of its own.
package source

import (
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Settings are what the kernel side needs to know.
type Settings struct {
	SamplesPerSecond int
	PollInterval     time.Duration
	// RingBufferSize is bytes per CPU, a power of two; 0 derives it.
	RingBufferSize int
	// LegacyController names the controller in whose hierarchy of version 1 control
	// groups are told, too; "" if in none.
	LegacyController string
	// CPUs are those that are sampled; none: all.
	CPUs []int
	// Paused: sampling does not begin before Sample.
	Paused bool
	// MinAge is how old a process has to be for its samples not to be dropped.
	MinAge time.Duration
	// MaxRejected is how many lives may be rejected at a time.
	MaxRejected int

	// walkInParts takes the sampler of kernels without bpf_loop.
	walkInParts bool
}

// Period is the time between two samples of one CPU.
func (s Settings) Period() time.Duration {
	return time.Second / time.Duration(s.SamplesPerSecond)
}

// Counters are what the kernel side counted since the source was opened, summed
// over CPUs.
type Counters struct {
	// Submitted, Idle, Released, RingFull and Filtered count the runs of the sampler
	// by what became of them: sent, hit the idle task, hit a thread that no longer
	// had an identity, found no room, hit a process that is rejected or too young.
	Submitted, Idle, Released, RingFull, Filtered uint64
	// Unfired is how often the sampler should have run and did not.
	Unfired uint64
	// LifecycleLost counts lifecycle records that found no room.
	LifecycleLost uint64
	// LifecycleMissed counts runs of lifecycle programs the kernel skipped.
	LifecycleMissed uint64
	// Undecoded counts records that were read but not understood.
	Undecoded uint64
	// Drained counts samples read from the buffers.
	Drained uint64
	// Mapped counts records of mappings, MappedLost those known to be missing.
	Mapped, MappedLost uint64
	// TableBytes is the memory of unwind tables now.
	TableBytes uint64
}

// Taken is the number of runs of the sampler.
func (c Counters) Taken() uint64 { return c.Submitted + c.Idle + c.Released + c.RingFull + c.Filtered }

// Expected is the number of runs that time and rate called for.
func (c Counters) Expected() uint64 { return c.Taken() + c.Unfired }

// InBuffers is the number of samples that were sent and not read.
func (c Counters) InBuffers() uint64 { return c.Submitted - c.Drained - c.Undecoded }

// Catch raises the counts to what is known to have been drained since they were
// read.
func (c *Counters) Catch(drained uint64) {
	c.Drained = max(c.Drained, drained)
	c.Submitted = max(c.Submitted, c.Drained+c.Undecoded)
}

// LifecycleGaps is the number of lifecycle events that no record tells of.
func (c Counters) LifecycleGaps() uint64 { return c.LifecycleLost + c.LifecycleMissed }

const (
	minRingSize = 256 << 10
	maxRingSize = 1 << 30
	// deepRecord is a record of 250 frames with its header, see bpf/wire.h. Only stacks
	// that are deeper take more.
	deepRecord = 72 + 8*250 + recordHeader
	// maxCopy is the largest copy of a stack.
	maxCopy = 20 << 10
)

// CopiesPerSecond is how many bytes of stacks each CPU may copy in a second: of every
// sample at low rates, so that the first samples of programs are whole. A small buffer
// has no room for any.
func (s Settings) CopiesPerSecond() int {
	if s.RingBufferSize > 0 && s.RingBufferSize < minRingSize {
		return 0
	}
	return min(s.SamplesPerSecond*maxCopy, 2<<20)
}

// ringSize derives the bytes per CPU that hold twice the samples between two drains at
// full depth, a late wake-up included, or once and the copies of stacks, and some
// lifecycle records.
func (s Settings) ringSize() int {
	if s.RingBufferSize > 0 {
		return s.RingBufferSize
	}
	const wakeUp = 250 * time.Millisecond
	seconds := (s.PollInterval + wakeUp).Seconds()
	deep := s.SamplesPerSecond * deepRecord
	needed := seconds * float64(deep+max(deep, s.CopiesPerSecond()))
	size := minRingSize
	for size < maxRingSize && float64(size) < needed {
		size *= 2
	}
	return size
}

// BatchSamples is how many samples a drain puts into one batch at most.
const BatchSamples = 4096

// batchFrames is how many frames, or words of copies, a batch holds at most, but for one
// sample: a megabyte.
const batchFrames = 1 << 17

// full reports whether a batch should be handed on before it grows further.
func full(b *event.Batch) bool {
	return len(b.Samples) >= BatchSamples || len(b.Frames) >= batchFrames || len(b.Lifecycle) >= BatchSamples || len(b.Mapped) >= BatchSamples ||
		len(b.Kernel) >= BatchSamples
}
