// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
)

const (
	// maxJobs bounds the requests that wait for a worker; others stay where they
	// were asked.
	maxJobs = 64
	// maxHeldUp bounds the jobs of a worker that go on beside the others.
	maxHeldUp = 8
)

// apply brings the result of a job into the pipeline.
type apply func(*pipeline.Pipeline)

// worker does one kind of job, one after the other. One that takes longer than patience
// goes on beside the others: a file system, or a process whose memory is read, can hold a
// job up for ever. pending belongs to the engine.
type worker struct {
	what     string
	patience time.Duration
	jobs     chan func() apply
	done     chan apply
	pending  int
	rest     func()      // when no job waits
	heldUp   func(error) // tells of jobs
}

func newWorker(what string, patience time.Duration, rest func(), heldUp func(error)) *worker {
	return &worker{
		what: what, patience: patience, jobs: make(chan func() apply, maxJobs), done: make(chan apply),
		rest: rest, heldUp: heldUp,
	}
}

// submit never blocks as long as there is room.
func (w *worker) submit(job func() apply) {
	w.pending++
	w.jobs <- job
}

func (w *worker) room() int { return maxJobs - w.pending }

// run returns when ctx is done and no job is under way.
func (w *worker) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, maxHeldUp+1)
	for {
		select {
		case <-ctx.Done():
			return
		case places <- struct{}{}: // first, so that a job waits where it counts as waiting
		}
		select {
		case <-ctx.Done():
			return
		case job := <-w.jobs:
			over := make(chan struct{})
			running.Go(func() {
				w.do(ctx, job)
				<-places
				close(over)
			})
			w.wait(ctx, over)
		}
	}
}

// do does a job and hands its result on.
func (w *worker) do(ctx context.Context, job func() apply) {
	select {
	case w.done <- job():
	case <-ctx.Done():
	}
	if len(w.jobs) == 0 {
		w.rest()
	}
}

// wait waits for a job as long as is bearable.
func (w *worker) wait(ctx context.Context, over <-chan struct{}) {
	patience := time.NewTimer(w.patience)
	defer patience.Stop()
	select {
	case <-ctx.Done():
	case <-over:
	case <-patience.C:
		w.heldUp(fmt.Errorf("%s takes more than %v, others do not wait for it", w.what, w.patience))
	}
}
