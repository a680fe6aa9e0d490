// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer/xconsumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
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
func New(set receiver.Settings, settings Settings, open OpenSource, next xconsumer.Profiles) *Receiver {
	return &Receiver{set: set, settings: settings, open: open, next: next}
}

// Start begins to sample. Its error names the cause and the cure, and leaves
// nothing behind.
func (r *Receiver) Start(_ context.Context, host component.Host) (err error) {
	listeners, err := r.listeners(host)
	if err != nil {
		return err
	}
	reader, err := newReader(r.settings)
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
	rules, err := r.settings.Filter.resolve(reader.user)
	if err != nil {
		return err
	}
	settings, on := r.settings.source(), r.settings.Lottery.draw(r.settings.random())
	settings.Paused = !on
	settings.LegacyController = reader.legacyController()
	source, err := r.open(settings)
	if err != nil {
		return fmt.Errorf("start sampling: %w", err)
	}
	undo = append(undo, source.Close)
	buffers := source.Buffers()
	run := &run{source: source, reader: reader, rules: rules, on: on, faults: faults{log: r.set.Logger}}
	run.health.report = func(e *componentstatus.Event) { componentstatus.ReportStatus(host, e) }
	if run.telemetry, err = newTelemetry(r.set.ID, r.set.TelemetrySettings, source.Now); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	if err := r.launch(run, listeners); err != nil {
		return errors.Join(err, run.telemetry.stop())
	}
	r.run = run
	greet(r.set.Logger, r.settings, buffers, time.Since(began), r.settings.degradations(reader))
	return nil
}

// pipeline returns a pipeline that knows the processes that exist.
func (r *Receiver) pipeline(run *run) (*pipeline.Pipeline, error) {
	source := run.source
	now := source.Now()
	p := pipeline.New(pipeline.Settings{
		Start:          now,
		Interval:       r.settings.ReporterInterval,
		Jitter:         r.settings.ReporterJitter,
		Random:         r.settings.random,
		Placement:      r.settings.Placement,
		Filter:         run.rules,
		MinAge:         r.settings.Filter.MinAge,
		MaxHoldBytes:   r.settings.holdBytes(),
		MaxProcesses:   r.settings.MaxProcesses,
		ReadAll:        r.settings.CommandArgs || len(r.settings.Variables) > 0 || r.settings.ServiceVariables || !run.reader.tellsContainers(),
		Contexts:       r.settings.ProcessContext,
		MaxSymbolBytes: r.settings.SymbolCacheSize,
		Inline:         r.settings.Names.Native && r.settings.Names.Inline,
		JIT:            r.settings.Names.JIT,
		Rule:           source.Rule,
		MaxCopyBytes:   maxCopyBytes,
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
	err := run.shutdown(ctx)
	farewell(r.set.Logger, run.telemetry.published.Load())
	return err
}
