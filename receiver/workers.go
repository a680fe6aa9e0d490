// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// reader answers the pipeline's requests from /proc and from files.
type reader interface {
	process(process.Request) process.Answer
	// file is nil if it could not be read.
	file(pipeline.FileRequest) *symbol.File
	// kernel returns what could be read, and why not the rest.
	kernel() (k *symbol.Kernel, buildID string, err error)
	Close() error
}

const (
	workerCount = 2
	// maxJobs bounds the requests that wait for a worker; others stay where they
	// were asked.
	maxJobs = 64
)

// job is one of three requests.
type job struct {
	process *process.Request
	file    *pipeline.FileRequest
	kernel  bool
}

// apply brings the result of a job into the pipeline.
type apply func(*pipeline.Pipeline)

// workers do what may block.
type workers struct {
	reader reader
	jobs   chan job
	done   chan apply
	warn   func(error)
}

func newWorkers(r reader, warn func(error)) *workers {
	return &workers{reader: r, jobs: make(chan job, maxJobs), done: make(chan apply), warn: warn}
}

func (w *workers) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-w.jobs:
			select {
			case <-ctx.Done():
				return
			case w.done <- w.do(j):
			}
		}
	}
}

func (w *workers) do(j job) apply {
	switch {
	case j.process != nil:
		answer := w.reader.process(*j.process)
		return func(p *pipeline.Pipeline) { p.Answer(answer) }
	case j.file != nil:
		file := w.reader.file(*j.file)
		return func(p *pipeline.Pipeline) { p.Loaded(j.file.Mapping.File, file) }
	default:
		k, buildID, err := w.reader.kernel()
		if err != nil {
			w.warn(err)
		}
		return func(p *pipeline.Pipeline) { p.KernelLoaded(k, buildID) }
	}
}
