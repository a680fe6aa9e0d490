// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Settings say how a window becomes profiles.
type Settings struct {
	// Period is the time between two samples of a CPU.
	Period time.Duration
	// WallOffset is the Unix time in nanoseconds at KTime 0.
	WallOffset int64
	// MaxBatchBytes bounds the encoded size of a batch. Only a batch of a single
	// sample may be larger, where even that does not fit.
	MaxBatchBytes int
	// Demangle makes the names of functions readable; nil leaves them as they are.
	// A name that it changes is sent as the function's system name too.
	Demangle func(symbol string) string
	// ScopeName and ScopeVersion name the instrumentation scope.
	ScopeName, ScopeVersion string
}

// schemaURL names the semantic conventions the attributes follow.
const schemaURL = "https://opentelemetry.io/schemas/1.44.0"

// wall turns kernel time into Unix time.
func (s Settings) wall(t event.KTime) pcommon.Timestamp {
	return pcommon.Timestamp(int64(t) + s.WallOffset)
}
