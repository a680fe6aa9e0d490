// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// reader answers the pipeline's requests from /proc and from files.
type reader interface {
	process(process.Request) process.Answer
	// container is "" if the group is of none, or could not be read.
	container(event.CgroupID) string
	// tellsContainers: of all processes, even those that are gone.
	tellsContainers() bool
	// file returns with the answer what was left out of it.
	file(pipeline.FileRequest) (pipeline.FileAnswer, error)
	units(pipeline.UnitRequest) pipeline.UnitAnswer
	perfMap(pipeline.PerfMapRequest) pipeline.PerfMapAnswer
	threadContext(pipeline.ThreadContextRequest) pipeline.ThreadContextAnswer
	// kernel returns what could be read, and why not the rest.
	kernel() (k *symbol.Kernel, buildID string, err error)
	Close() error
}

// maxJobs bounds the requests that wait for a worker; others stay where they
// were asked.
const maxJobs = 64

// apply brings the result of a job into the pipeline.
type apply func(*pipeline.Pipeline)

// worker does one kind of job, so that a file that hangs keeps names back and
// nothing else. pending belongs to the engine.
type worker struct {
	jobs    chan func() apply
	done    chan apply
	pending int
}

func newWorker() *worker {
	return &worker{jobs: make(chan func() apply, maxJobs), done: make(chan apply)}
}

// submit never blocks as long as there is room.
func (w *worker) submit(job func() apply) {
	w.pending++
	w.jobs <- job
}

func (w *worker) room() int { return maxJobs - w.pending }

func (w *worker) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-w.jobs:
			select {
			case <-ctx.Done():
				return
			case w.done <- job():
			}
		}
	}
}

// clerk phrases the pipeline's requests as jobs.
type clerk struct {
	reader reader
	place  func(*unwind.Table) ([]unwind.Piece, error)
	warn   func(error)
	// limited is for faults of which anybody can make many.
	limited func(error)
}

func (c clerk) process(r process.Request) func() apply {
	return func() apply {
		answer := c.reader.process(r)
		return func(p *pipeline.Pipeline) { p.Answer(answer) }
	}
}

func (c clerk) group(id event.CgroupID) func() apply {
	return func() apply {
		container := c.reader.container(id)
		return func(p *pipeline.Pipeline) { p.GroupFound(id, container) }
	}
}

func (c clerk) file(r pipeline.FileRequest) func() apply {
	return func() apply {
		answer, fault := c.reader.file(r)
		if fault != nil {
			c.limited(fault)
		}
		if answer.Table != nil {
			pieces, err := c.place(answer.Table)
			if err != nil {
				c.warn(err)
			}
			answer.Pieces, answer.Full = pieces, err != nil
		}
		return func(p *pipeline.Pipeline) { p.Loaded(answer) }
	}
}

func (c clerk) units(r pipeline.UnitRequest) func() apply {
	return func() apply {
		answer := c.reader.units(r)
		return func(p *pipeline.Pipeline) { p.UnitsRead(answer) }
	}
}

func (c clerk) perfMap(r pipeline.PerfMapRequest) func() apply {
	return func() apply {
		answer := c.reader.perfMap(r)
		return func(p *pipeline.Pipeline) { p.PerfMapRead(answer) }
	}
}

func (c clerk) threadContext(r pipeline.ThreadContextRequest) func() apply {
	return func() apply {
		answer := c.reader.threadContext(r)
		return func(p *pipeline.Pipeline) { p.ThreadContextLocated(answer) }
	}
}

func (c clerk) kernel() apply {
	k, buildID, err := c.reader.kernel()
	if err != nil {
		c.warn(err)
	}
	return func(p *pipeline.Pipeline) { p.KernelLoaded(k, buildID) }
}
