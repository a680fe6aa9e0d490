// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/xconsumer"
	"go.opentelemetry.io/collector/receiver/receiverhelper"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
)

// Retries of a window end when the next one is ready.
const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
)

// parcel is the windows that one completion closed; wall is the Unix time in
// nanoseconds at KTime 0 then.
type parcel struct {
	windows []*pipeline.Window
	wall    int64
}

func (p parcel) samples() (n uint64) {
	for _, w := range p.windows {
		n += w.Samples()
	}
	return n
}

// delivery says what became of a window's samples.
type delivery struct {
	oldest                     event.KTime
	delivered                  uint64
	permanent, retry, shutdown uint64
	unnamed, unidentified      uint64
	unread                     uint64
}

// emitter hands windows to the next consumer. While a call blocks, a parcel waits
// in a slot for one: the pipeline never waits.
type emitter struct {
	next     xconsumer.Profiles
	obs      *receiverhelper.ObsReport
	settings profile.Settings
	slot     chan parcel
	done     chan delivery
	health   *health
}

// run ends when the slot is closed and its last parcel has been dealt with.
func (e *emitter) run(ctx context.Context) {
	defer close(e.done)
	for p := range e.slot {
		for _, w := range p.windows {
			e.done <- e.deliver(ctx, w, p.wall)
		}
	}
}

func (e *emitter) deliver(ctx context.Context, w *pipeline.Window, wall int64) delivery {
	d := delivery{oldest: w.Oldest()}
	settings := e.settings
	settings.WallOffset = wall
	for batch := range w.Batches(settings, w) {
		switch err := e.push(ctx, batch); {
		case err == nil:
			d.delivered += batch.Samples
			d.unnamed += uint64(batch.UnnamedLocations)
			d.unread += uint64(batch.PendingLocations)
			d.unidentified += uint64(batch.UnidentifiedMappings)
		case consumererror.IsPermanent(err):
			d.permanent += batch.Samples
		case ctx.Err() != nil:
			d.shutdown += batch.Samples
		default:
			d.retry += batch.Samples
		}
	}
	return d
}

// push delivers a batch. An error that is not permanent is retried until the
// next parcel is ready. Once ctx has ended the consumer may be gone: no call
// begins.
func (e *emitter) push(ctx context.Context, batch profile.Batch) error {
	// A consumer may keep what it is given, so a retry needs it unchanged.
	batch.Profiles.MarkReadOnly()
	for backoff := firstBackoff; ; backoff = min(2*backoff, maxBackoff) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err := e.consume(ctx, batch)
		if err == nil || consumererror.IsPermanent(err) || !e.wait(ctx, backoff) {
			return err
		}
	}
}

func (e *emitter) consume(ctx context.Context, batch profile.Batch) error {
	records := batch.Profiles.SampleCount()
	opCtx := e.obs.StartProfilesOp(ctx)
	err := e.next.ConsumeProfiles(opCtx, batch.Profiles)
	e.obs.EndProfilesOp(opCtx, "otlp", records, err)
	e.health.set(delivering, err)
	return err
}

// wait reports whether to try again after the backoff.
func (e *emitter) wait(ctx context.Context, backoff time.Duration) bool {
	const look = 50 * time.Millisecond
	for deadline := time.Now().Add(backoff); time.Now().Before(deadline); {
		if len(e.slot) > 0 {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(min(look, time.Until(deadline))):
		}
	}
	return len(e.slot) == 0
}
