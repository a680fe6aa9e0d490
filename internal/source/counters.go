// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
)

// Counters reads the ledger of the kernel side.
func (k *Kernel) Counters() (Counters, error) {
	var total Counters
	for _, c := range k.cpus {
		total.Drained += c.buffer.drained
		total.Undecoded += c.buffer.undecoded
		total.Mapped += c.mapped.seen
		total.MappedLost += c.mapped.missed()
	}
	// Before the counts: what fires in between must not look as if it had not.
	now := k.Now()
	taken := make([]uint64, k.possible)
	for id := range taken {
		var c bpf.ProfilerWireCounters
		if err := k.objects.Counters.Lookup(uint32(id), &c); err != nil {
			return total, fmt.Errorf("read the counters of CPU %d: %w", id, err)
		}
		taken[id] = c.Submitted + c.Idle + c.Released + c.RingFull + c.Filtered
		total.Submitted += c.Submitted
		total.Idle += c.Idle
		total.Released += c.Released
		total.RingFull += c.RingFull
		total.Filtered += c.Filtered
		total.LifecycleLost += c.LifecycleLost
	}
	for _, c := range k.cpus {
		total.Unfired += c.missed(now, taken[c.id])
	}
	total.TableBytes = k.tables.bytes()
	// A record can be read before the program that sent it has counted it.
	total.Catch(total.Drained)
	for _, program := range k.objects.lifecyclePrograms() {
		total.LifecycleMissed += recursionMisses(program)
	}
	return total, nil
}

// recursionMisses is how often the kernel skipped a program because it was
// running on that CPU already; 0 where the kernel does not tell (before 5.12).
func recursionMisses(program *ebpf.Program) uint64 {
	stats, err := program.Stats()
	if err != nil {
		return 0
	}
	return stats.RecursionMisses
}
