// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// reader answers the pipeline's requests from /proc and from files.
type reader interface {
	process(process.Request) process.Answer
	// legacyController is the controller by whose hierarchy of version 1 groups are told.
	legacyController() string
	// group is empty if it could not be read.
	group(event.CgroupID) pipeline.Group
	// user is the number of a user.
	user(name string) (uint32, error)
	// tellsContainers: of all processes, even those that are gone.
	tellsContainers() bool
	// file, units and perfMap return with the answer what was left out of it.
	file(pipeline.FileRequest) (pipeline.FileAnswer, error)
	units(pipeline.UnitRequest) (pipeline.UnitAnswer, error)
	perfMap(pipeline.PerfMapRequest) (pipeline.PerfMapAnswer, error)
	context(pipeline.ContextRequest) pipeline.ContextAnswer
	threadContext(pipeline.ThreadContextRequest) pipeline.ThreadContextAnswer
	// kernel returns what could be read, and why not the rest.
	kernel() (pipeline.KernelAnswer, error)
	modules() (uint64, error)
	// rest is called when no file waits to be read.
	rest()
	// stop has reads of files fail, those under way too.
	stop()
	Close() error
}

// clerk phrases the pipeline's requests as jobs.
type clerk struct {
	reader reader
	now    func() event.KTime
	place  func(*unwind.Table) ([]unwind.Piece, error)
	warn   func(error)
	// limited is for faults of which anybody can make many; nil is none.
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
		group := c.reader.group(id)
		return func(p *pipeline.Pipeline) { p.GroupFound(id, group) }
	}
}

func (c clerk) file(r pipeline.FileRequest) func() apply {
	return func() apply {
		answer, fault := c.reader.file(r)
		c.limited(fault)
		if answer.Table != nil {
			pieces, err := c.place(answer.Table)
			c.limited(err)
			answer.Pieces, answer.Full = pieces, err != nil
		}
		return func(p *pipeline.Pipeline) { p.Loaded(answer) }
	}
}

func (c clerk) units(r pipeline.UnitRequest) func() apply {
	return func() apply {
		answer, fault := c.reader.units(r)
		c.limited(fault)
		return func(p *pipeline.Pipeline) { p.UnitsRead(answer) }
	}
}

func (c clerk) context(r pipeline.ContextRequest) func() apply {
	return func() apply {
		answer := c.reader.context(r)
		return func(p *pipeline.Pipeline) { p.ContextLooked(answer) }
	}
}

func (c clerk) perfMap(r pipeline.PerfMapRequest) func() apply {
	return func() apply {
		answer, fault := c.reader.perfMap(r)
		c.limited(fault)
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
	answer, err := c.reader.kernel()
	if err != nil {
		c.warn(err)
	}
	return func(p *pipeline.Pipeline) { p.KernelLoaded(answer) }
}

func (c clerk) modules() apply {
	modules, err := c.reader.modules()
	c.limited(err)
	return func(p *pipeline.Pipeline) {
		if err == nil {
			p.ModulesFound(modules)
		}
	}
}
