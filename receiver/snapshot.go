// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/source"
)

// snapshot is everything counted, at one moment. All metrics of one scrape come
// from one snapshot, so they add up.
type snapshot struct {
	counters source.Counters
	pipeline pipeline.Stats
	// until is the watermark.
	until       event.KTime
	completions uint64
	// on: the host is sampled.
	on              bool
	reconciliations [causes]uint64
	// delivered and lost count samples of windows that were dealt with.
	delivered uint64
	lost      undelivered
	// abandoned were left in the buffers at the end.
	abandoned             uint64
	unnamed, unidentified uint64
	// unread counts frames that were delivered before what names them had been read.
	unread uint64
	last   bool
}

// undelivered are samples of windows that no consumer took.
type undelivered struct {
	// permanent: the consumer refused for good. retry: it failed until the next
	// window was ready. slow: the window waited and a newer one replaced it.
	// shutdown: time was up.
	permanent, retry, slow, shutdown uint64
}

func (u undelivered) total() uint64 { return u.permanent + u.retry + u.slow + u.shutdown }

// inFlight counts the samples that were taken and not dealt with yet: in the
// buffers, on their way to the pipeline, in it, and with the emitter.
func (s *snapshot) inFlight() uint64 {
	ledger := s.pipeline.Ledger
	onTheWay := s.counters.Drained - ledger.Seen
	emitting := ledger.Closed - s.delivered - s.lost.total()
	return s.counters.InBuffers() - s.abandoned + onTheWay + ledger.Held + ledger.Open + emitting
}
