// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer/xconsumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.uber.org/zap"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadata"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/watermark"
)

// Receiver profiles the host between Start and Shutdown.
type Receiver struct {
	set      receiver.Settings
	settings Settings
	open     OpenSource
	next     xconsumer.Profiles
	run      *run
}

// New returns a receiver that has done nothing yet.
func New(set receiver.Settings, settings Settings, open OpenSource, next xconsumer.Profiles) (*Receiver, error) {
	return &Receiver{set: set, settings: settings, open: open, next: next}, nil
}

// run is what lives between Start and Shutdown.
type run struct {
	source    Source
	reader    reader
	telemetry *telemetry
	log       *zap.Logger
	host      component.Host
	// stop ends sampling; everything behind it then ends in the order of the data.
	// abort gives up on what is still on its way to the consumer.
	stop, abort context.CancelFunc
	// upstream is the barrier and the workers, which nobody waits for in turn.
	upstream, downstream sync.WaitGroup
}

// Start begins to sample. Its error names the cause and the cure, and leaves
// nothing behind.
func (r *Receiver) Start(_ context.Context, host component.Host) (err error) {
	listeners, err := r.listeners(host)
	if err != nil {
		return err
	}
	reader, err := newReader(r.settings.RootPath)
	if err != nil {
		return err
	}
	undo := []func() error{reader.Close}
	defer func() {
		for _, step := range undo {
			if err != nil {
				err = errors.Join(err, step())
			}
		}
	}()
	began := time.Now()
	source, err := r.open(r.settings.source())
	if err != nil {
		return fmt.Errorf("start sampling: %w", err)
	}
	undo = append(undo, source.Close)
	run := &run{source: source, reader: reader, log: r.set.Logger, host: host}
	if run.telemetry, err = newTelemetry(r.set.ID, r.set.TelemetrySettings, source.Now); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	if err := r.launch(run, listeners); err != nil {
		return errors.Join(err, run.telemetry.stop())
	}
	r.run = run
	if err := r.settings.degradations(); err != nil {
		run.warn(err)
	}
	r.set.Logger.Info("Profiling this host",
		zap.Int("samples_per_second", r.settings.SamplesPerSecond),
		zap.Int("cpus", source.Buffers()),
		zap.Duration("took", time.Since(began)))
	return nil
}

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
	p, err := r.pipeline(run.source)
	if err != nil {
		return err
	}
	sampling, stop := context.WithCancel(context.Background())
	delivering, abort := context.WithCancel(context.Background())
	run.stop, run.abort = stop, abort

	emitter := &emitter{
		next: r.next,
		obs:  obs,
		settings: profile.Settings{
			Period:        r.settings.source().Period(),
			MaxBatchBytes: r.settings.MaxBatchBytes,
			ScopeName:     metadata.ScopeName,
			ScopeVersion:  r.set.BuildInfo.Version,
		},
		wall:    func() int64 { return time.Now().UnixNano() - int64(run.source.Now()) },
		slot:    make(chan *pipeline.Window, 1),
		done:    make(chan delivery),
		report:  func(e *componentstatus.Event) { componentstatus.ReportStatus(run.host, e) },
		healthy: true,
	}
	workers := newWorkers(run.reader, run.warn)
	messages, free := make(chan message), make(chan *event.Batch, batchesInFlight)
	for range batchesInFlight {
		free <- &event.Batch{}
	}
	engine := &engine{
		id:        r.set.ID,
		pipeline:  p,
		in:        messages,
		free:      free,
		workers:   workers,
		emitter:   emitter,
		published: &run.telemetry.published,
	}
	for _, l := range listeners {
		m := newMailbox(l, &run.telemetry.replaced)
		engine.mailboxes = append(engine.mailboxes, m)
		run.downstream.Go(m.run)
	}
	passed := make(chan event.KTime)
	poll := &poll{
		source:   run.source,
		interval: r.settings.PollInterval,
		mark:     watermark.New(run.source.Buffers(), watermark.Guard),
		passed:   passed,
		out:      messages,
		free:     free,
		failed:   run.warn,
	}
	barrier := &barrier{
		source:   run.source,
		interval: r.settings.CompletionInterval,
		passed:   passed,
		observe:  run.telemetry.barrier,
		failed:   run.warn,
	}
	run.downstream.Go(func() { emitter.run(delivering) })
	run.downstream.Go(func() { engine.run(); stop() })
	run.downstream.Go(func() { poll.run(sampling) })
	run.upstream.Go(func() { barrier.run(sampling) })
	// The workers serve the engine until its end.
	working, idle := context.WithCancel(context.Background())
	for range workerCount {
		run.upstream.Go(func() { workers.run(working) })
	}
	run.upstream.Go(func() { run.downstream.Wait(); idle() })
	return nil
}

// pipeline returns a pipeline that knows the processes that exist.
func (r *Receiver) pipeline(source Source) (*pipeline.Pipeline, error) {
	now := source.Now()
	p := pipeline.New(pipeline.Settings{
		Start:          now,
		Interval:       r.settings.ReporterInterval,
		MaxHoldBytes:   r.settings.holdBytes(),
		MaxProcesses:   r.settings.MaxProcesses,
		MaxSymbolBytes: maxSymbolBytes,
		BootTime:       bootTime(),
	})
	tasks, err := source.Tasks()
	if err != nil {
		return nil, fmt.Errorf("list the processes of this host: %w", err)
	}
	p.Scan(tasks, now, source.Now())
	return p, nil
}

// listeners are those of the embedder and the extensions that are configured.
func (r *Receiver) listeners(host component.Host) ([]completion.Listener, error) {
	out := append([]completion.Listener(nil), r.settings.Listeners...)
	for _, id := range r.settings.CompletionListeners {
		extension, ok := host.GetExtensions()[id]
		if !ok {
			return nil, fmt.Errorf("completion_listeners: there is no extension %q: add it under service::extensions", id)
		}
		listener, ok := extension.(completion.Listener)
		if !ok {
			return nil, fmt.Errorf("completion_listeners: the extension %q does not listen to completions: name one that implements completion.Listener", id)
		}
		out = append(out, listener)
	}
	return out, nil
}

// Shutdown takes what was sampled to the end and stops everything. It may be
// called without Start and twice.
func (r *Receiver) Shutdown(ctx context.Context) error {
	if r.run == nil {
		return nil
	}
	run := r.run
	r.run = nil
	return run.shutdown(ctx)
}

var errBlocked = errors.New("the next consumer still blocks a call of ConsumeProfiles, its goroutine is left behind")

func (run *run) shutdown(ctx context.Context) error {
	run.stop()
	done := make(chan struct{})
	go func() {
		run.downstream.Wait()
		run.upstream.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	case <-time.After(shutdownTimeout):
	}
	run.abort()
	var errs []error
	select {
	case <-done:
	case <-time.After(shutdownTimeout):
		errs = append(errs, errBlocked)
	}
	errs = append(errs, run.source.Close(), run.reader.Close(), run.telemetry.stop())
	return errors.Join(errs...)
}

// warn tells the operator of a fault that the profiler survives.
func (run *run) warn(err error) {
	run.log.Warn("The profiler goes on with a fault", zap.Error(err))
}
