// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/receiver/receiverhelper"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/demangle"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/filter"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadata"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/watermark"
)

// run is what lives between Start and Shutdown.
type run struct {
	source    Source
	reader    reader
	rules     filter.Rules
	on        bool // whether sampling has begun
	telemetry *telemetry
	faults    faults
	health    health

	// stop ends sampling; everything behind it then ends in the order of the data.
	// abort gives up on what has not reached the consumer, idle ends the workers.
	stop, abort, idle context.CancelFunc
	// draining use the source, working use the reader.
	draining, delivering, working []*task
}

// task is a goroutine; what it may be busy with is told when it does not end.
type task struct {
	busyWith string
	done     chan struct{}
}

func (t *task) ended() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

func start(busyWith string, f func()) *task {
	t := &task{busyWith: busyWith, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		f()
	}()
	return t
}

// What reads of /proc and of memory, and what reads of files take at the most, unless they
// are held up or the host has far too much to do.
const (
	processPatience = 2 * time.Second
	filePatience    = 30 * time.Second
)

// launch builds the goroutines from the last to the first and starts them.
func (r *Receiver) launch(run *run, listeners []completion.Listener) error {
	obs, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID:             r.set.ID,
		Transport:              "ebpf",
		LongLivedCtx:           true,
		ReceiverCreateSettings: r.set,
	})
	if err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	p, err := r.pipeline(run)
	if err != nil {
		return err
	}
	emitter := r.newEmitter(run, obs)
	messages, free := make(chan message), make(chan *event.Batch, batchesInFlight)
	for range batchesInFlight {
		free <- &event.Batch{}
	}
	engine := &engine{
		id:        r.set.ID,
		pipeline:  p,
		in:        messages,
		free:      free,
		clerk:     clerk{run.reader, run.source.Now, run.source.Place, run.faults.warn, run.faults.limited},
		publisher: run.source,
		rejecter:  run.source,
		failed:    run.faults.warn,
		processes: newWorker("a read of /proc", processPatience, func() {}, run.faults.limited),
		files:     newWorker("a read of an executable file", filePatience, run.reader.rest, run.faults.limited),
		units:     newWorker("a read of debug information", filePatience, func() {}, run.faults.limited),
		contexts:  newWorker("a read of the memory of a process", processPatience, func() {}, run.faults.limited),
		emitter:   emitter,
		published: &run.telemetry.published,
		evicted:   run.telemetry.evicted,
		now:       run.source.Now,
		wall:      func() int64 { return time.Now().UnixNano() - int64(run.source.Now()) },
	}
	for _, l := range listeners {
		engine.mailboxes = append(engine.mailboxes, newMailbox(l, &run.telemetry.replaced))
	}
	r.startAll(run, engine, messages, free)
	return nil
}

func (r *Receiver) newEmitter(run *run, obs *receiverhelper.ObsReport) *emitter {
	return &emitter{
		next: r.next,
		obs:  obs,
		settings: profile.Settings{
			Period:        r.settings.source().Period(),
			MaxBatchBytes: r.settings.MaxBatchBytes,
			Demangle:      demangle.New(r.settings.Demangle),
			ScopeName:     metadata.ScopeName,
			ScopeVersion:  r.set.BuildInfo.Version,
		},
		slot:   make(chan parcel, 1),
		done:   make(chan delivery),
		health: &run.health,
	}
}

// startAll starts who consumes before who produces.
func (r *Receiver) startAll(run *run, engine *engine, messages chan<- message, free chan *event.Batch) {
	var sampling, delivering, working context.Context
	sampling, run.stop = context.WithCancel(context.Background())
	delivering, run.abort = context.WithCancel(context.Background())
	working, run.idle = context.WithCancel(context.Background())

	passed := make(chan event.KTime)
	poll := &poll{
		source:    run.source,
		interval:  r.settings.PollInterval,
		lottery:   r.settings.Lottery,
		random:    r.settings.random,
		on:        run.on,
		mark:      watermark.New(run.source.Buffers(), watermark.Guard),
		passed:    passed,
		out:       messages,
		free:      free,
		failed:    run.faults.warn,
		processes: func() process.Stats { return run.telemetry.published.Load().pipeline.Processes },
	}
	barrier := &barrier{
		source:   run.source,
		interval: r.settings.CompletionInterval,
		passed:   passed,
		observe:  run.telemetry.barrier,
		failed:   run.faults.warn,
		health:   &run.health,
	}
	for _, w := range []*worker{engine.processes, engine.files, engine.units, engine.contexts} {
		run.working = append(run.working, start(w.what, func() { w.run(working) }))
	}
	run.delivering = []*task{
		start("a call of ConsumeProfiles", func() { engine.emitter.run(delivering) }),
		start("the last window", engine.run),
	}
	for _, m := range engine.mailboxes {
		run.delivering = append(run.delivering, start("a completion listener", m.run))
	}
	run.draining = []*task{
		start("the last drain", func() { poll.run(sampling) }),
		start("a grace period", func() { barrier.run(sampling) }),
	}
}

// shutdown ends everything in the order of the data. Each wait is bounded; who
// does not end is left behind, named in the error, and what it uses stays open
// until it ends.
func (run *run) shutdown(ctx context.Context) error {
	run.stop()
	await(context.Background(), 2*shutdownTimeout, run.draining[:1]) // bounded itself
	await(ctx, shutdownTimeout, run.delivering)
	run.abort()
	run.idle()
	run.reader.stop()
	limited, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	var errs []error
	for _, group := range [][]*task{run.draining, run.delivering, run.working} {
		// Within a group the others wait for the first.
		if busy := await(limited, shutdownTimeout, group); len(busy) > 0 {
			errs = append(errs, fmt.Errorf("shutdown leaves a goroutine behind that is busy with %s", busy[0].busyWith))
		}
	}
	errs = append(errs,
		closeAfter(run.draining, run.source.Close),
		closeAfter(run.working, run.reader.Close),
		run.telemetry.stop())
	return errors.Join(errs...)
}

// await waits for tasks, at most that long, and returns those that have not ended.
func await(ctx context.Context, limit time.Duration, tasks []*task) (busy []*task) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, t := range tasks {
		select {
		case <-t.done:
		case <-ctx.Done():
			if !t.ended() {
				busy = append(busy, t)
			}
		}
	}
	return busy
}

// closeAfter closes what tasks use once they have ended: a ring that is unmapped
// under its reader would end the process.
func closeAfter(tasks []*task, closing func() error) error {
	wait := func() error {
		for _, t := range tasks {
			<-t.done
		}
		return closing()
	}
	if len(await(context.Background(), 0, tasks)) == 0 {
		return wait()
	}
	go func() { _ = wait() }()
	return nil
}
