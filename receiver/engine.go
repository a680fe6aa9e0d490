// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"slices"
	"sync/atomic"

	"go.opentelemetry.io/collector/component"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// engine is the goroutine that owns the pipeline and everything counted behind
// the buffers.
type engine struct {
	id        component.ID
	pipeline  *pipeline.Pipeline
	in        <-chan message
	free      chan<- *event.Batch
	clerk     clerk
	processes *worker
	files     *worker
	units     *worker
	contexts  *worker
	emitter   *emitter
	mailboxes []*mailbox
	published *atomic.Pointer[snapshot]
	evicted   func(freed []event.KTime)
	publisher publisher
	rejecter  rejecter
	failed    func(error)
	now       func() event.KTime
	// wall is the Unix time in nanoseconds at KTime 0; the wall clock may be set.
	wall func() int64

	state snapshot
	// waiting are the oldest stamps of the windows with the emitter, in order.
	waiting []event.KTime
	// told is the newest completion that the mailboxes were told of.
	told event.KTime
}

// publisher tells the sampler by which tables to walk the stacks of processes.
type publisher interface {
	Publish(unwind.Space) error
	Withdraw(unwind.Space) error
	Drop([]unwind.Piece)
}

// rejecter tells the sampler whose samples it can drop.
type rejecter interface {
	Reject(event.LifeID) error
	Readmit(event.LifeID) error
}

func (e *engine) run() {
	e.files.submit(e.clerk.kernel)
	for !e.state.last {
		e.dispatch()
		select {
		case m := <-e.in:
			e.receive(m)
		case answer := <-e.processes.done:
			e.processes.pending--
			answer(e.pipeline)
		case answer := <-e.files.done:
			e.files.pending--
			answer(e.pipeline)
			e.walks()
		case answer := <-e.units.done:
			e.units.pending--
			answer(e.pipeline)
		case answer := <-e.contexts.done:
			e.contexts.pending--
			answer(e.pipeline)
		case d := <-e.emitter.done:
			e.settle(d)
		}
	}
	e.finish()
}

func (e *engine) receive(m message) {
	if m.cut != 0 {
		e.pipeline.Cut(m.cut)
	}
	e.pipeline.Batch(m.batch)
	e.free <- m.batch
	if m.tasks != nil {
		e.pipeline.Reconcile(m.tasks, m.from, m.to)
		e.state.reconciliations[m.cause]++
	}
	if !m.completed {
		return
	}
	if m.counters.MappedLost > e.state.counters.MappedLost {
		e.pipeline.Doubt(e.now())
	}
	e.state.counters, e.state.on, e.state.last = m.counters, m.on, m.last
	if !m.unproven {
		e.state.until = m.until
	}
	e.state.completions++
	complete := e.pipeline.Complete
	if m.last {
		complete = e.pipeline.Flush
		e.state.abandoned = m.counters.InBuffers()
	}
	closed := complete(m.until)
	e.evicted(e.pipeline.Freed())
	e.rulings()
	e.walks()
	if len(closed) > 0 {
		e.emit(parcel{closed, e.wall()}, m.last)
	}
	e.publish()
}

// rulings hands on whose samples are not wanted.
func (e *engine) rulings() {
	rulings := e.pipeline.Rulings()
	for _, id := range rulings.Rejected {
		if err := e.rejecter.Reject(id); err != nil {
			e.failed(err)
		}
	}
	for _, id := range rulings.Over {
		if err := e.rejecter.Readmit(id); err != nil {
			e.failed(err)
		}
	}
}

// walks hands on what the pipeline says of how stacks are to be walked.
func (e *engine) walks() {
	walks := e.pipeline.Walks()
	for _, s := range walks.Over {
		if err := e.publisher.Withdraw(s); err != nil {
			e.failed(err)
		}
	}
	for _, s := range walks.Spaces {
		if err := e.publisher.Publish(s); err != nil {
			e.failed(err)
		}
	}
	if len(walks.Dropped) > 0 {
		e.publisher.Drop(walks.Dropped)
	}
	e.pipeline.WalksTold(e.now())
}

// emit gives the emitter a parcel. One that still waits is dropped for it, but at
// the end, when nothing else waits behind.
func (e *engine) emit(p parcel, last bool) {
	for _, w := range p.windows {
		e.waiting = append(e.waiting, w.Oldest())
	}
	for !e.offer(p) {
		if last {
			e.settle(<-e.emitter.done)
			continue
		}
		select {
		case old := <-e.emitter.slot:
			e.state.lost.slow += old.samples()
			for _, w := range old.windows {
				e.forget(w.Oldest())
			}
		default:
		}
	}
}

func (e *engine) offer(p parcel) bool {
	select {
	case e.emitter.slot <- p:
		return true
	default:
		return false
	}
}

// settle takes what became of a window.
func (e *engine) settle(d delivery) {
	e.state.delivered += d.delivered
	e.state.lost.permanent += d.permanent
	e.state.lost.retry += d.retry
	e.state.lost.shutdown += d.shutdown
	e.state.unnamed += d.unnamed
	e.state.unread += d.unread
	e.state.unidentified += d.unidentified
	e.forget(d.oldest)
	e.publish()
}

func (e *engine) forget(oldest event.KTime) {
	if i := slices.Index(e.waiting, oldest); i >= 0 {
		e.waiting = slices.Delete(e.waiting, i, i+1)
	}
}

// publish makes the state visible to metrics and tells listeners how far it is
// dealt with.
func (e *engine) publish() {
	e.state.pipeline = e.pipeline.Stats()
	// Batches may have come since the counters were read.
	e.state.counters.Catch(e.state.pipeline.Ledger.Seen)
	s := e.state
	e.published.Store(&s)
	if until := e.dealtWith(); until > e.told {
		e.told = until
		for _, m := range e.mailboxes {
			m.post(completion.Completion{Receiver: e.id, Until: until})
		}
	}
}

// dealtWith is the moment up to which every sample was handed to the next
// consumer or counted as lost.
func (e *engine) dealtWith() event.KTime {
	until := e.state.until
	if oldest, ok := e.pipeline.Oldest(); ok {
		until = min(until, oldest-1)
	}
	for _, oldest := range e.waiting {
		until = min(until, oldest-1)
	}
	return until
}

// dispatch gives the pipeline's requests to the workers, as many as they take.
func (e *engine) dispatch() {
	// A group may go with its last process.
	for _, id := range e.pipeline.GroupRequests(e.processes.room()) {
		e.processes.submit(e.clerk.group(id))
	}
	for _, r := range e.pipeline.ThreadContextRequests(e.contexts.room()) {
		e.contexts.submit(e.clerk.threadContext(r))
	}
	for _, r := range e.pipeline.Requests(e.processes.room()) {
		e.processes.submit(e.clerk.process(r))
	}
	if e.processes.room() > 0 && e.pipeline.ModulesRequested() {
		e.processes.submit(e.clerk.modules)
	}
	if e.files.room() > 0 && e.pipeline.KernelRequested() {
		e.files.submit(e.clerk.kernel)
	}
	for _, r := range e.pipeline.PerfMapRequests(e.files.room()) {
		e.files.submit(e.clerk.perfMap(r))
	}
	for _, r := range e.pipeline.FileRequests(e.files.room()) {
		e.files.submit(e.clerk.file(r))
	}
	for _, r := range e.pipeline.ContextRequests(e.contexts.room()) {
		e.contexts.submit(e.clerk.context(r))
	}
	for _, r := range e.pipeline.UnitRequests(e.units.room()) {
		e.units.submit(e.clerk.units(r))
	}
}

// finish waits for the last windows and tells the listeners.
func (e *engine) finish() {
	close(e.emitter.slot)
	for d := range e.emitter.done {
		e.settle(d)
	}
	for _, m := range e.mailboxes {
		close(m.slot)
	}
}
