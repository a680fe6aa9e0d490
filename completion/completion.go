// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package completion tells other components how far the profiler has come.
//
// A component that keeps state per process, such as a cache of process
// metadata, can drop the state of a dead process safely once a [Completion]
// covers its end: no profile sample from before that moment is still to come.
package completion

import "go.opentelemetry.io/collector/component"

// KTime is a point in kernel time: nanoseconds on CLOCK_MONOTONIC in the
// initial time namespace, the clock of bpf_ktime_get_ns.
type KTime uint64

// Completion states that every sample taken up to Until has been handed to the
// next consumer or counted as lost.
type Completion struct {
	// Receiver is the id of the profiler that speaks.
	Receiver component.ID
	// Until only grows from one Completion of a receiver to its next.
	Until KTime
}

// Listener is told of completions. An extension that implements it can be named
// in completion_listeners.
type Listener interface {
	// Completed is called from one goroutine at a time per receiver. A listener
	// that is slow misses completions in between but never the newest one.
	Completed(Completion)
}
