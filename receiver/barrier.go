// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// barrier waits for grace periods, one per interval, and tells the poll
// goroutine before which moment each began. It blocks for milliseconds in the
// kernel and cannot be interrupted there, so it has a goroutine of its own.
type barrier struct {
	source   Source
	interval time.Duration
	passed   chan<- event.KTime
	observe  func(time.Duration)
	failed   func(error)
	health   *health
}

func (b *barrier) run(ctx context.Context) {
	ticker := time.NewTicker(b.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		// The clock is read first: what starts after it stamps later.
		t0 := b.source.Now()
		start := time.Now()
		err := b.source.Barrier()
		b.health.set(completing, err)
		if err != nil {
			b.failed(err)
			continue
		}
		b.observe(time.Since(start))
		select {
		case <-ctx.Done():
			return
		case b.passed <- t0:
		}
	}
}
