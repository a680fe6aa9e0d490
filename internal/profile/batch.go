// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"iter"
	"slices"

	"go.opentelemetry.io/collector/pdata/pprofile"
)

// Batch is a part of a window that can be sent on its own.
type Batch struct {
	Profiles pprofile.Profiles
	// Samples counts the samples, each of which is a timestamp. Equal ones share
	// a Sample record, so Profiles.SampleCount is smaller.
	Samples uint64
	// UnnamedLocations counts the locations of the batch without a function.
	UnnamedLocations int
	// PendingLocations counts those whose names, or whose lines and inlined calls, were
	// still being read.
	PendingLocations int
	// UnidentifiedMappings counts the mappings of the batch without a build ID.
	UnidentifiedMappings int
}

// Batches builds the window's profiles in an order that depends on the samples
// alone, one batch when the one before has been consumed. There is no batch
// without samples. The window must not change in the meantime.
func (w *Window) Batches(s Settings, r Resolver) iter.Seq[Batch] {
	return func(yield func(Batch) bool) {
		b := newBuilder(w, s, r)
		var times []uint64
		for _, o := range w.orderedOwners() {
			b.begin(w.owners.keys[o])
			for _, i := range w.ofOwner[o] {
				times = w.appendTimes(times[:0], i, s)
				for rest := times; len(rest) > 0; {
					rest = rest[b.add(w.records.keys[i], rest):]
					if len(rest) > 0 && !yield(b.finish()) {
						return
					}
				}
			}
		}
		if b.samples > 0 {
			yield(b.finish())
		}
	}
}

// appendTimes appends the timestamps of a record in ascending order.
func (w *Window) appendTimes(times []uint64, record uint32, s Settings) []uint64 {
	for i := w.last[record]; i != none; i = w.samples[i].previous {
		times = append(times, uint64(s.wall(w.samples[i].ktime)))
	}
	slices.Sort(times)
	return times
}
