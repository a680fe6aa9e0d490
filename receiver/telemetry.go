// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadata"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
)

// telemetry shows the snapshots that the engine publishes. Every series carries
// the receiver's id, so that two instances stay apart.
type telemetry struct {
	builder      *metadata.TelemetryBuilder
	registration metric.Registration
	receiver     attribute.KeyValue
	// own is the receiver's id as an option.
	own       metric.MeasurementOption
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
	t.own = metric.WithAttributeSet(attribute.NewSet(t.receiver))
	t.published.Store(&snapshot{until: now()})
	// One callback for all, so that a scrape shows one snapshot.
	t.registration, err = metadata.Meter(set).RegisterCallback(t.observe, t.instruments()...)
	if err != nil {
		builder.Shutdown()
		return nil, err
	}
	return t, nil
}

func (t *telemetry) stop() error {
	err := t.registration.Unregister()
	t.builder.Shutdown()
	return err
}

func (t *telemetry) barrier(d time.Duration) {
	t.builder.ReceiverEbpfProfilerBarrierDuration.Record(context.Background(), d.Seconds(), t.own)
}

// evicted takes when the processes were freed that have just been dropped.
func (t *telemetry) evicted(freed []event.KTime) {
	now := t.now()
	for _, k := range freed {
		latency := time.Duration(now - min(now, k))
		t.builder.ReceiverEbpfProfilerEvictionLatency.Record(context.Background(), latency.Seconds(), t.own)
	}
}

func (t *telemetry) instruments() []metric.Observable {
	b := t.builder
	return []metric.Observable{
		b.ReceiverEbpfProfilerSamplesExpected, b.ReceiverEbpfProfilerSamplesUnfired,
		b.ReceiverEbpfProfilerSamplesTaken, b.ReceiverEbpfProfilerSamplesFiltered,
		b.ReceiverEbpfProfilerSamplesLost, b.ReceiverEbpfProfilerSamplesDelivered,
		b.ReceiverEbpfProfilerSamplesInFlight, b.ReceiverEbpfProfilerSamplesOverflowed, b.ReceiverEbpfProfilerSampling, b.ReceiverEbpfProfilerStacks, b.ReceiverEbpfProfilerStacksCopied,
		b.ReceiverEbpfProfilerFramesPending, b.ReceiverEbpfProfilerFramesUnnamed, b.ReceiverEbpfProfilerMappingsUnidentified,
		b.ReceiverEbpfProfilerMappingsRecorded, b.ReceiverEbpfProfilerMappingsLost,
		b.ReceiverEbpfProfilerProcesses, b.ReceiverEbpfProfilerEvictions, b.ReceiverEbpfProfilerEvictionsEarly,
		b.ReceiverEbpfProfilerPerfMapReads, b.ReceiverEbpfProfilerPidReuses, b.ReceiverEbpfProfilerProcessesRefused,
		b.ReceiverEbpfProfilerProcessContextReads, b.ReceiverEbpfProfilerServiceVariablesMalformed,
		b.ReceiverEbpfProfilerProcfsReads, b.ReceiverEbpfProfilerReconciliations,
		b.ReceiverEbpfProfilerLifecycleLost, b.ReceiverEbpfProfilerCompletions,
		b.ReceiverEbpfProfilerLateRecords, b.ReceiverEbpfProfilerCompletionsReplaced,
		b.ReceiverEbpfProfilerDebugUnits, b.ReceiverEbpfProfilerSymbolFilesFaulty,
		b.ReceiverEbpfProfilerSymbolCacheBytes, b.ReceiverEbpfProfilerSymbolCacheEvictions,
		b.ReceiverEbpfProfilerThreadContexts, b.ReceiverEbpfProfilerThreadContextsUnresolved,
		b.ReceiverEbpfProfilerUnwindTableBytes, b.ReceiverEbpfProfilerUnwindTablesFaulty,
		b.ReceiverEbpfProfilerUnwindTablesRefused, b.ReceiverEbpfProfilerWatermarkLag,
	}
}

func (t *telemetry) observe(_ context.Context, o metric.Observer) error {
	s, b := t.published.Load(), t.builder
	processes := &s.pipeline.Processes
	t.total(o, b.ReceiverEbpfProfilerSamplesExpected, s.counters.Expected())
	t.total(o, b.ReceiverEbpfProfilerSamplesUnfired, s.counters.Unfired)
	t.total(o, b.ReceiverEbpfProfilerSamplesTaken, s.counters.Taken())
	t.by(o, b.ReceiverEbpfProfilerSamplesFiltered, "reason", filtered(s))
	t.by(o, b.ReceiverEbpfProfilerSamplesLost, "reason", lost(s))
	t.total(o, b.ReceiverEbpfProfilerSamplesDelivered, s.delivered)
	t.total(o, b.ReceiverEbpfProfilerSamplesInFlight, s.inFlight())
	t.total(o, b.ReceiverEbpfProfilerSamplesOverflowed, processes.Overflowed)
	t.total(o, b.ReceiverEbpfProfilerSampling, number(s.on))
	t.by(o, b.ReceiverEbpfProfilerStacks, "end", stacks(s))
	t.total(o, b.ReceiverEbpfProfilerStacksCopied, s.pipeline.Copied)
	t.total(o, b.ReceiverEbpfProfilerFramesUnnamed, s.unnamed)
	t.total(o, b.ReceiverEbpfProfilerFramesPending, s.unread)
	t.total(o, b.ReceiverEbpfProfilerMappingsUnidentified, s.unidentified)
	t.total(o, b.ReceiverEbpfProfilerMappingsRecorded, s.counters.Mapped)
	t.by(o, b.ReceiverEbpfProfilerMappingsLost, "reason", mappingsLost(s))
	t.by(o, b.ReceiverEbpfProfilerProcesses, "state", states(s))
	t.total(o, b.ReceiverEbpfProfilerEvictions, processes.Evictions)
	t.total(o, b.ReceiverEbpfProfilerEvictionsEarly, processes.Forced)
	t.by(o, b.ReceiverEbpfProfilerPerfMapReads, "outcome", perfMapReads(s))
	t.total(o, b.ReceiverEbpfProfilerPidReuses, processes.PIDReuses)
	t.total(o, b.ReceiverEbpfProfilerProcessesRefused, processes.Refused)
	t.by(o, b.ReceiverEbpfProfilerProcessContextReads, "outcome", contextReads(s))
	t.total(o, b.ReceiverEbpfProfilerServiceVariablesMalformed, processes.VariablesMalformed)
	t.by(o, b.ReceiverEbpfProfilerProcfsReads, "outcome", reads(s))
	t.by(o, b.ReceiverEbpfProfilerReconciliations, "cause", reconciliations(s))
	t.total(o, b.ReceiverEbpfProfilerLifecycleLost, s.counters.LifecycleGaps()+processes.RecordsDropped)
	t.total(o, b.ReceiverEbpfProfilerCompletions, s.completions)
	t.total(o, b.ReceiverEbpfProfilerLateRecords, s.pipeline.Ledger.Late)
	t.total(o, b.ReceiverEbpfProfilerCompletionsReplaced, t.replaced.Load())
	t.by(o, b.ReceiverEbpfProfilerDebugUnits, "outcome", debugUnits(s))
	t.total(o, b.ReceiverEbpfProfilerSymbolFilesFaulty, s.pipeline.FilesFaulty)
	t.total(o, b.ReceiverEbpfProfilerSymbolCacheBytes, uint64(s.pipeline.SymbolBytes))
	t.total(o, b.ReceiverEbpfProfilerSymbolCacheEvictions, s.pipeline.SymbolsEvicted)
	t.by(o, b.ReceiverEbpfProfilerThreadContexts, "outcome", threadContexts(s))
	t.total(o, b.ReceiverEbpfProfilerThreadContextsUnresolved, s.pipeline.Threads.Unresolved)
	t.total(o, b.ReceiverEbpfProfilerUnwindTableBytes, s.counters.TableBytes)
	t.total(o, b.ReceiverEbpfProfilerUnwindTablesFaulty, s.pipeline.TablesFaulty)
	t.total(o, b.ReceiverEbpfProfilerUnwindTablesRefused, s.pipeline.TablesFull)
	lag := time.Duration(t.now() - s.until)
	o.ObserveFloat64(b.ReceiverEbpfProfilerWatermarkLag, lag.Seconds(), t.own)
	return nil
}

func number(is bool) uint64 {
	if is {
		return 1
	}
	return 0
}

// values maps the value of a metric's attribute to a count.
type values map[string]uint64

func (t *telemetry) total(o metric.Observer, m metric.Int64Observable, n uint64) {
	o.ObserveInt64(m, int64(n), t.own)
}

// by shows one series per value of an attribute.
func (t *telemetry) by(o metric.Observer, m metric.Int64Observable, key string, counts values) {
	for value, n := range counts {
		o.ObserveInt64(m, int64(n), metric.WithAttributes(t.receiver, attribute.String(key, value)))
	}
}

func filtered(s *snapshot) values {
	return values{
		"idle":      s.counters.Idle,
		"released":  s.counters.Released,
		"filter":    s.counters.Filtered + s.pipeline.Ledger.Filtered,
		"undecided": s.pipeline.Ledger.Undecided,
	}
}

func lost(s *snapshot) values {
	return values{
		"ring_full":          s.counters.RingFull,
		"undecoded":          s.counters.Undecoded,
		"hold":               s.pipeline.Ledger.LostHold,
		"consumer_permanent": s.lost.permanent,
		"consumer_retry":     s.lost.retry,
		"consumer_slow":      s.lost.slow,
		"shutdown":           s.lost.shutdown + s.abandoned,
	}
}

func mappingsLost(s *snapshot) values {
	p := s.pipeline.Processes
	return values{
		"buffer_full":     s.counters.MappedLost,
		"queue_full":      p.MappedDropped,
		"process_full":    p.MappedRefused,
		"process_unknown": p.MappedOfNobody,
	}
}

func stacks(s *snapshot) values {
	out := values{}
	for end, n := range s.pipeline.Stacks {
		out[event.UserStack(end).String()] = n
	}
	return out
}

func reconciliations(s *snapshot) values {
	return values{
		"lifecycle_lost": s.reconciliations[lifecycleLost],
		"free_overdue":   s.reconciliations[freeOverdue],
	}
}

func states(s *snapshot) values {
	p := s.pipeline.Processes
	return values{"live": uint64(p.Live), "exiting": uint64(p.Exiting), "zombie": uint64(p.Zombie)}
}

func perfMapReads(s *snapshot) values {
	m := s.pipeline.PerfMaps
	return values{"read": m.Read, "unchanged": m.Unchanged, "absent": m.Absent, "refused": m.Refused, "too_large": m.TooLarge}
}

func contextReads(s *snapshot) values {
	names := [...]string{
		pipeline.ContextRead:       "read",
		pipeline.ContextUnchanged:  "unchanged",
		pipeline.ContextAbsent:     "absent",
		pipeline.ContextMalformed:  "malformed",
		pipeline.ContextTorn:       "torn",
		pipeline.ContextUnreadable: "unreadable",
		pipeline.ContextRefused:    "refused",
	}
	out := values{}
	for outcome, n := range s.pipeline.Contexts {
		out[names[outcome]] = n
	}
	return out
}

func threadContexts(s *snapshot) values {
	c := s.pipeline.Threads
	return values{"linked": c.Linked, "unreadable": c.Unreadable}
}

func debugUnits(s *snapshot) values {
	u := s.pipeline.DebugUnits
	return values{"read": u.Read, "failed": u.Failed, "unreachable": u.Unreachable}
}

func reads(s *snapshot) values {
	p := s.pipeline.Processes
	a := p.Answers
	return values{
		"accepted":      a.Accepted,
		"refused_start": a.RefusedTick,
		"refused_exit":  a.RefusedExit,
		"refused_exec":  a.RefusedExec,
		"gone":          a.Gone,
		"failed":        a.Failed,
		"unknown":       a.Unknown,
		"postponed":     p.RequestsDropped,
	}
}
