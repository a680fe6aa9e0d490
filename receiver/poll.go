// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"errors"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/source"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/watermark"
)

// message is what the poll goroutine tells the pipeline. Its parts apply in the
// order of the fields.
type message struct {
	batch *event.Batch
	// cut, unless it is 0, is when sampling was turned on or off.
	cut event.KTime
	// tasks are what exists, after lifecycle records were missed for a cause; they
	// were listed between from and to.
	tasks    []event.Task
	cause    cause
	from, to event.KTime
	// completed is set if until covers everything that has been sent by now.
	completed bool
	until     event.KTime
	counters  source.Counters
	// on: the host is sampled.
	on bool
	// last: nothing comes after. unproven: until is just now, programs may still
	// have been running.
	last, unproven bool
}

// batchesInFlight bounds how far the poll goroutine may run ahead: beyond it
// records wait in the ring buffers.
const batchesInFlight = 3

// retryBusy is when to look again at a record that was reserved but not
// committed and holds a round.
const retryBusy = 2 * time.Millisecond

// poll drains the buffers and computes the watermark.
type poll struct {
	source   Source
	interval time.Duration
	lottery  Lottery
	random   func() float64
	on       bool // whether the host is sampled
	mark     *watermark.Watermark
	passed   <-chan event.KTime
	out      chan<- message
	free     chan *event.Batch
	failed   func(error)
	// processes is what the process table has counted.
	processes func() process.Stats

	// heads are where the buffers are drained to in this round.
	heads []uint64
	batch *event.Batch
	// counters are the newest that could be read.
	counters source.Counters
	// reconciled are the gaps that listings of tasks made good.
	reconciled [causes]uint64
}

// cause is a reason to list the tasks.
type cause int

const (
	// lifecycleLost: a ring, a queue or a program had no room.
	lifecycleLost cause = iota
	// freeOverdue: an exited process was not freed for long. It may be a zombie, or
	// the record of its end never came: the kernel gives no account of all.
	freeOverdue
	causes
)

func (p *poll) run(ctx context.Context) {
	ticker := time.NewTicker(p.interval)
	defer ticker.Stop()
	draws, stop := p.lottery.ticks()
	defer stop()
	p.heads = make([]uint64, p.source.Buffers())
	p.batch = <-p.free
	for {
		passed, retry := p.passed, (<-chan time.Time)(nil)
		if p.mark.Open() {
			passed, retry = nil, time.After(retryBusy)
		}
		select {
		case <-ctx.Done():
			p.finish()
			return
		case <-draws:
			p.turn(p.lottery.draw(p.random()))
			continue
		case <-ticker.C:
		case <-retry:
		case t0 := <-passed:
			// The heads are read after the barrier, so they cover every record of
			// the programs it waited for.
			p.source.Heads(p.heads)
			p.mark.Barrier(t0, p.heads)
			p.round()
			continue
		}
		p.source.Heads(p.heads)
		p.round()
	}
}

// turn turns sampling on or off. No sample is stamped between the cut and the moment that
// the first clock starts, or after the last has stopped: windows hold the one or the other.
func (p *poll) turn(on bool) {
	if on == p.on {
		return
	}
	p.on = on
	cut := p.source.Now()
	if err := p.source.Sample(on); err != nil {
		p.failed(err)
	}
	if !on {
		cut = p.source.Now()
	}
	p.send(message{cut: cut})
}

// round drains every buffer once and says how far that brings us.
func (p *poll) round() {
	for buffer := range p.heads {
		p.mark.Drained(buffer, p.drain(buffer))
	}
	until, completed := p.mark.Complete()
	if completed {
		p.updateCPUs() // what it finds unseen, the completion says
		p.complete(until)
	} else if !p.batch.Empty() {
		p.send(message{})
	}
}

// updateCPUs makes room for the buffers of CPUs that came online. Buffers may be
// added between rounds only.
func (p *poll) updateCPUs() {
	if err := p.source.UpdateCPUs(); err != nil {
		p.failed(err)
	}
	if n := p.source.Buffers(); n > len(p.heads) {
		p.heads = make([]uint64, n)
		p.mark.Grow(n)
	}
}

func (p *poll) drain(buffer int) uint64 {
	for {
		position, more := p.source.Drain(buffer, p.heads[buffer], p.batch)
		if !more {
			return position
		}
		p.send(message{})
	}
}

// send hands on the batch with a message and takes a fresh one.
func (p *poll) send(m message) {
	m.batch = p.batch
	p.out <- m
	p.batch = <-p.free
	p.batch.Reset()
}

func (p *poll) complete(until event.KTime) {
	p.count()
	m := message{completed: true, until: until, counters: p.counters, on: p.on}
	p.reconcile(&m)
	p.send(m)
}

// reconcile lists the tasks if lifecycle records were missed since it last did.
func (p *poll) reconcile(m *message) {
	processes := p.processes()
	gaps := [causes]uint64{
		lifecycleLost: p.counters.LifecycleGaps() + processes.RecordsDropped + processes.Unannounced,
		freeOverdue:   processes.Overdue,
	}
	for m.cause < causes && gaps[m.cause] <= p.reconciled[m.cause] {
		m.cause++
	}
	if m.cause == causes {
		return
	}
	var err error
	m.from = p.source.Now()
	m.tasks, err = p.source.Tasks()
	m.to = p.source.Now()
	if err != nil {
		p.failed(err)
		return
	}
	p.reconciled = gaps
}

// count reads the counters of the kernel side, or leaves them as they were.
func (p *poll) count() {
	counters, err := p.source.Counters()
	if err != nil {
		p.failed(err)
		return
	}
	p.counters = counters
}

// finish stops the producers and takes everything they left: the last completion covers all
// there is, the last window ends with sampling.
func (p *poll) finish() {
	p.turn(false)
	if err := p.source.Stop(); err != nil {
		p.failed(err)
	}
	proven := p.waitForPrograms()
	p.source.Heads(p.heads)
	for buffer := range p.heads {
		p.drain(buffer)
	}
	p.count()
	p.out <- message{
		batch: p.batch, completed: true, last: true, unproven: !proven, until: p.source.Now(), counters: p.counters, on: p.on,
	}
}

var errNoGracePeriod = errors.New("running programs did not end within 5 s, the last samples may be missing")

// waitForPrograms is the barrier after the producers were stopped. A grace
// period cannot be interrupted: one that takes too long is left to finish.
func (p *poll) waitForPrograms() bool {
	done := make(chan error, 1)
	go func() { done <- p.source.Barrier() }()
	select {
	case err := <-done:
		if err != nil {
			p.failed(err)
		}
		return err == nil
	case <-time.After(shutdownTimeout):
		p.failed(errNoGracePeriod)
		return false
	}
}
