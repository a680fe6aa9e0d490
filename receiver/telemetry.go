// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadata"
)

// telemetry shows the snapshots that the engine publishes. Every series carries
// the receiver's id, so that two instances stay apart.
type telemetry struct {
	builder   *metadata.TelemetryBuilder
	receiver  attribute.KeyValue
	published atomic.Pointer[snapshot]
	// replaced counts completions that a listener did not read in time.
	replaced atomic.Uint64
	now      func() event.KTime
}

// newTelemetry registers the metrics; the caller calls stop.
func newTelemetry(id component.ID, set component.TelemetrySettings, now func() event.KTime) (*telemetry, error) {
	builder, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, err
	}
	t := &telemetry{builder: builder, receiver: attribute.String("receiver", id.String()), now: now}
	t.published.Store(&snapshot{until: now()})
	if err := errors.Join(t.registerLedger(), t.registerProcesses(), t.registerCompletions()); err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

func (t *telemetry) stop() { t.builder.Shutdown() }

func (t *telemetry) barrier(d time.Duration) {
	t.builder.ReceiverEbpfProfilerBarrierDuration.Record(context.Background(), d.Seconds(),
		metric.WithAttributes(t.receiver))
}

// values maps the value of a metric's attribute to a count.
type values map[string]uint64

// plain makes a callback for a metric without an attribute of its own.
func (t *telemetry) plain(get func(*snapshot) uint64) metric.Int64Callback {
	set := metric.WithAttributeSet(attribute.NewSet(t.receiver))
	return func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(int64(get(t.published.Load())), set)
		return nil
	}
}

// by makes a callback for a metric with one series per value of an attribute.
func (t *telemetry) by(key string, get func(*snapshot) values) metric.Int64Callback {
	return func(_ context.Context, o metric.Int64Observer) error {
		for value, n := range get(t.published.Load()) {
			o.Observe(int64(n), metric.WithAttributes(t.receiver, attribute.String(key, value)))
		}
		return nil
	}
}

func (t *telemetry) registerLedger() error {
	b := t.builder
	return errors.Join(
		b.RegisterReceiverEbpfProfilerSamplesExpectedCallback(t.plain(func(s *snapshot) uint64 { return s.counters.Expected() })),
		b.RegisterReceiverEbpfProfilerSamplesUnfiredCallback(t.plain(func(s *snapshot) uint64 { return s.counters.Unfired })),
		b.RegisterReceiverEbpfProfilerSamplesTakenCallback(t.plain(func(s *snapshot) uint64 { return s.counters.Taken() })),
		b.RegisterReceiverEbpfProfilerSamplesFilteredCallback(t.by("reason", filtered)),
		b.RegisterReceiverEbpfProfilerSamplesLostCallback(t.by("reason", lost)),
		b.RegisterReceiverEbpfProfilerSamplesDeliveredCallback(t.plain(func(s *snapshot) uint64 { return s.delivered })),
		b.RegisterReceiverEbpfProfilerSamplesInFlightCallback(t.plain((*snapshot).inFlight)),
		b.RegisterReceiverEbpfProfilerStacksCallback(t.by("end", stacks)),
		b.RegisterReceiverEbpfProfilerFramesUnnamedCallback(t.plain(func(s *snapshot) uint64 { return s.unnamed })),
		b.RegisterReceiverEbpfProfilerMappingsUnidentifiedCallback(t.plain(func(s *snapshot) uint64 { return s.unidentified })),
	)
}

func (t *telemetry) registerProcesses() error {
	b := t.builder
	return errors.Join(
		b.RegisterReceiverEbpfProfilerProcessesCallback(t.by("state", processes)),
		b.RegisterReceiverEbpfProfilerEvictionsCallback(t.plain(func(s *snapshot) uint64 { return s.pipeline.Processes.Evictions })),
		b.RegisterReceiverEbpfProfilerPidReusesCallback(t.plain(func(s *snapshot) uint64 { return s.pipeline.Processes.PIDReuses })),
		b.RegisterReceiverEbpfProfilerProcessesRefusedCallback(t.plain(func(s *snapshot) uint64 { return s.pipeline.Processes.Refused })),
		b.RegisterReceiverEbpfProfilerProcfsReadsCallback(t.by("outcome", reads)),
		b.RegisterReceiverEbpfProfilerReconciliationsCallback(t.by("cause", func(s *snapshot) values {
			return values{"lifecycle_lost": s.reconciliations}
		})),
		b.RegisterReceiverEbpfProfilerLifecycleLostCallback(t.plain(func(s *snapshot) uint64 {
			return s.counters.LifecycleLost + s.counters.LifecycleMissed + s.pipeline.Processes.RecordsDropped
		})),
	)
}

func (t *telemetry) registerCompletions() error {
	b := t.builder
	set := metric.WithAttributes(t.receiver)
	return errors.Join(
		b.RegisterReceiverEbpfProfilerCompletionsCallback(t.plain(func(s *snapshot) uint64 { return s.completions })),
		b.RegisterReceiverEbpfProfilerLateRecordsCallback(t.plain(func(s *snapshot) uint64 { return s.pipeline.Ledger.Late })),
		b.RegisterReceiverEbpfProfilerCompletionsReplacedCallback(t.plain(func(*snapshot) uint64 { return t.replaced.Load() })),
		b.RegisterReceiverEbpfProfilerWatermarkLagCallback(func(_ context.Context, o metric.Float64Observer) error {
			o.Observe(time.Duration(t.now()-t.published.Load().until).Seconds(), set)
			return nil
		}),
	)
}

func filtered(s *snapshot) values {
	return values{"idle": s.counters.Idle, "released": s.counters.Released}
}

func lost(s *snapshot) values {
	return values{
		"ring_full":          s.counters.RingFull,
		"hold":               s.pipeline.Ledger.LostHold,
		"consumer_permanent": s.lost.permanent,
		"consumer_retry":     s.lost.retry,
		"consumer_slow":      s.lost.slow,
		"shutdown":           s.lost.shutdown,
	}
}

func stacks(s *snapshot) values {
	names := [...]string{
		event.UserTaken:  "frame_pointers",
		event.UserNone:   "no_user_code",
		event.UserExec:   "exec",
		event.UserExit:   "exit",
		event.UserFailed: "failed",
	}
	out := values{}
	for i, name := range names {
		out[name] = s.pipeline.Stacks[i]
	}
	return out
}

func processes(s *snapshot) values {
	p := s.pipeline.Processes
	return values{"live": uint64(p.Live), "exiting": uint64(p.Exiting), "zombie": uint64(p.Zombie)}
}

func reads(s *snapshot) values {
	a := s.pipeline.Processes.Answers
	return values{
		"accepted":      a.Accepted,
		"refused_start": a.RefusedTick,
		"refused_exit":  a.RefusedExit,
		"refused_exec":  a.RefusedExec,
		"gone":          a.Gone,
		"failed":        a.Failed,
		"unknown":       a.Unknown,
	}
}
