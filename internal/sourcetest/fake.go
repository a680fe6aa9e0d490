// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package sourcetest has a source that needs no kernel and no privilege, for
// tests of what lies behind it.
package sourcetest

import (
	"sync"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/source"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

// Fake is a host with two CPUs on which one process runs all the time. Its
// samples come at the rate of the settings, stamped with the time since the
// source was opened.
type Fake struct {
	settings source.Settings
	opened   time.Time

	mu      sync.Mutex
	taken   [cpus]uint64
	drained uint64
	stopped time.Duration
	closed  bool
}

const (
	cpus = 2
	// skew keeps stamps away from 0, which is no time.
	skew = time.Second
)

// Proc is the process that runs, Stack is where.
var (
	Proc  = event.ProcID{PID: 4242, Start: 1_000_000_000}
	Stack = []uint64{0xffffffff81000010, 0xffffffff81000020}
)

// Open has the type of receiver.OpenSource.
func Open(s source.Settings) (receiver.Source, error) { return New(s), nil }

// New returns a source that samples already.
func New(s source.Settings) *Fake { return &Fake{settings: s, opened: time.Now()} }

// Now reads the fake's clock.
func (f *Fake) Now() event.KTime { return event.KTime(time.Since(f.opened) + skew) }

// Buffers is one per CPU.
func (f *Fake) Buffers() int { return cpus }

// UpdateCPUs does nothing: the fake has no hotplug.
func (f *Fake) UpdateCPUs() error { return nil }

// Heads counts the samples that are due.
func (f *Fake) Heads(heads []uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range heads {
		heads[i] = f.due()
	}
}

// due is how many samples each CPU has had.
func (f *Fake) due() uint64 {
	running := time.Since(f.opened)
	if f.stopped > 0 {
		running = f.stopped
	}
	return uint64(running / f.settings.Period())
}

// Drain appends the samples that are due.
func (f *Fake) Drain(buffer int, limit uint64, batch *event.Batch) (position uint64, more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ; f.taken[buffer] < limit; f.drained++ {
		if len(batch.Samples) >= source.BatchSamples {
			return f.taken[buffer], true
		}
		f.taken[buffer]++
		batch.Samples = append(batch.Samples, f.sample(buffer, f.taken[buffer]))
	}
	return f.taken[buffer], false
}

func (f *Fake) sample(cpu int, n uint64) event.Sample {
	return event.Sample{
		KTime:     event.KTime(skew) + event.KTime(n)*event.KTime(f.settings.Period()),
		Proc:      Proc,
		TID:       Proc.PID,
		CPU:       uint32(cpu),
		Comm:      event.Comm{'f', 'a', 'k', 'e'},
		Worker:    true,
		UserStack: event.UserNone,
		Kernel:    Stack,
	}
}

// Barrier returns at once: the fake has no programs in flight.
func (f *Fake) Barrier() error { return nil }

// Counters reads the ledger of the fake.
func (f *Fake) Counters() (source.Counters, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	submitted := max(cpus*f.due(), f.drained)
	return source.Counters{Submitted: submitted, Drained: f.drained}, nil
}

// Tasks lists the one process.
func (f *Fake) Tasks() ([]event.Task, error) {
	return []event.Task{{Proc: Proc, Comm: event.Comm{'f', 'a', 'k', 'e'}, Worker: true}}, nil
}

// Sample turns sampling off. The fake is on when it is opened, and never again.
func (f *Fake) Sample(on bool) error {
	if on {
		return nil
	}
	return f.Stop()
}

// Reject and Readmit do nothing.
func (f *Fake) Reject(event.LifeID) error  { return nil }
func (f *Fake) Readmit(event.LifeID) error { return nil }

// Place, Publish, Withdraw and Drop do nothing.
func (f *Fake) Place(*unwind.Table) ([]unwind.Piece, error) { return nil, nil }
func (f *Fake) Publish(unwind.Space) error                  { return nil }
func (f *Fake) Withdraw(unwind.Space) error                 { return nil }
func (f *Fake) Drop([]unwind.Piece)                         {}

// Rule is none.
func (f *Fake) Rule(unwind.Piece, uint32) unwind.Rule { return unwind.NoInfo }

// Stop ends sampling.
func (f *Fake) Stop() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped == 0 {
		f.stopped = max(time.Since(f.opened), 1)
	}
	return nil
}

// Close ends sampling.
func (f *Fake) Close() error {
	f.closed = true
	return f.Stop()
}
