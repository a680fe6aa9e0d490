// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/preflight"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/procfs"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/service"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/source"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// procReader reads the host's /proc, and the files of processes.
type procReader struct {
	proc *procfs.Reader
	// debug are the directories of separate debug files.
	debug []string
	names Names
	// readBytes are those of files since the last rest.
	readBytes *atomic.Int64
	// stopped: no file is to be read any more.
	stopped *atomic.Bool
	// allowance is for lists of code made at run time, sums for separate debug files.
	allowance *allowance
	sums      *checksums
}

func (r procReader) Close() error { return r.proc.Close() }

func newReader(s Settings) (reader, error) {
	proc, err := procfs.New(s.RootPath, procfs.Given{
		CommandArgs: s.CommandArgs, Variables: s.Variables, Service: s.ServiceVariables,
	})
	if err != nil {
		return nil, fmt.Errorf("root_path %q: %w", s.RootPath, err)
	}
	allowance := newAllowance(time.Now())
	return procReader{
		proc: proc, debug: s.DebugDirectories, names: s.Names, readBytes: new(atomic.Int64), stopped: new(atomic.Bool),
		allowance: allowance, sums: newChecksums(allowance),
	}, nil
}

func (r procReader) stop() { r.stopped.Store(true) }

func (r procReader) stoppable(f *os.File) io.ReaderAt { return stoppable{f, r.stopped} }

func (r procReader) process(request process.Request) process.Answer {
	answer := process.Answer{Request: request}
	p, err := r.proc.Read(request.Proc.PID)
	answer.From, answer.To, answer.StartTick = p.From, p.To, p.StartTick
	switch {
	case errors.Is(err, procfs.ErrGone):
		answer.Gone = true
	case err == nil && (p.Executable != "" || len(p.Mappings) > 0):
		// Without both, it is going: that is no image.
		answer.Image = &process.Image{
			Executable:  p.Executable,
			ContainerID: p.ContainerID,
			Cgroup:      p.Cgroup,
			ParentPID:   p.ParentPID,
			CommandArgs: p.CommandArgs,
			Environment: p.Environment,
			Service:     p.Service,
		}
		answer.Malformed = p.Malformed
		answer.Mappings, answer.Truncated = p.Mappings, p.Truncated > 0
	}
	return answer
}

// group that is gone or may not be read is left to its processes.
func (r procReader) group(id event.CgroupID) pipeline.Group {
	path, container, err := r.proc.Group(id)
	return pipeline.Group{Path: path, Container: container, Told: err == nil}
}

func (r procReader) user(name string) (uint32, error) { return r.proc.User(name) }

// vdso reads the code that is the kernel's and in no file.
func (r procReader) vdso(request pipeline.FileRequest) (pipeline.FileAnswer, error) {
	answer := pipeline.FileAnswer{ID: request.ID}
	image, err := r.proc.VDSO()
	if err != nil {
		return answer, fmt.Errorf("names of the vDSO are left out: %w", err)
	}
	content, size := bytes.NewReader(image), int64(len(image))
	var fault, tableFault error
	answer.File, fault = symbol.Read(content, size, symbol.Options{Native: r.names.Kernel})
	if !request.Placed {
		answer.Table, tableFault = compile(content, size, request.Mapping.Path)
	}
	return withFaults(answer, fault, tableFault)
}

// context looks at what a process publishes about itself.
func (r procReader) context(request pipeline.ContextRequest) pipeline.ContextAnswer {
	c, err := r.proc.Context(request.PID, request.Published)
	return pipeline.ContextAnswer{
		ContextRequest: request,
		To:             preflight.Now(),
		StartTick:      c.StartTick,
		Outcome:        contextOutcome(err),
		Published:      c.Published,
		Service:        c.Service,
	}
}

func contextOutcome(err error) pipeline.ContextOutcome {
	switch {
	case err == nil:
		return pipeline.ContextRead
	case errors.Is(err, procfs.ErrUnchanged):
		return pipeline.ContextUnchanged
	case errors.Is(err, procfs.ErrNoContext):
		return pipeline.ContextAbsent
	case errors.Is(err, procfs.ErrTorn):
		return pipeline.ContextTorn
	case errors.Is(err, procfs.ErrGone):
		return pipeline.ContextRefused
	case errors.Is(err, service.ErrMalformed):
		return pipeline.ContextMalformed
	}
	return pipeline.ContextUnreadable
}

// perfMap reads the list of code that a process made at run time, if it has grown. The error
// is about what was left out.
func (r procReader) perfMap(request pipeline.PerfMapRequest) (pipeline.PerfMapAnswer, error) {
	answer := pipeline.PerfMapAnswer{PerfMapRequest: request, From: preflight.Now()}
	f, startTick, err := r.proc.OpenPerfMap(request.PID, request.Since)
	answer.StartTick = startTick
	var fault error
	if err == nil { // few processes have one
		fault = r.readPerfMap(f, &answer)
		f.Close()
	}
	answer.To = preflight.Now()
	if fault != nil {
		return answer, fmt.Errorf("names in /tmp/perf-PID.map of process %d are left out: %w", request.PID, fault)
	}
	return answer, nil
}

// readPerfMap reads a list that has another size than the known one.
func (r procReader) readPerfMap(f *os.File, answer *pipeline.PerfMapAnswer) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == answer.PerfMapRequest.Size {
		answer.Size = info.Size()
		return nil
	}
	if err := r.allowance.take(min(info.Size(), symbol.MaxPerfMap), time.Now()); err != nil {
		answer.Refused = true
		return err
	}
	answer.Size = info.Size()
	answer.Map, err = symbol.ReadPerfMap(f) // what is too large is read in part
	return err
}

func (r procReader) legacyController() string { return r.proc.LegacyController() }

// threadContext looks up in the memory of a process where its threads have their context.
func (r procReader) threadContext(request pipeline.ThreadContextRequest) pipeline.ThreadContextAnswer {
	answer := pipeline.ThreadContextAnswer{ThreadContextRequest: request}
	memory, startTick, err := r.proc.OpenMemory(request.PID)
	answer.StartTick = startTick
	if err == nil {
		defer memory.Close()
		answer.Place, _ = request.Variable.Locate(request.Bias, request.Musl, memory.Read)
	}
	answer.To = preflight.Now()
	return answer
}

func (r procReader) tellsContainers() bool { return r.proc.TellsContainers() }

func (r procReader) modules() (uint64, error) { return r.proc.Modules() }

func (r procReader) kernel() (answer pipeline.KernelAnswer, err error) {
	answer.From = preflight.Now()
	notes, notesErr := r.proc.KernelNotes()
	answer.BuildID = symbol.BuildIDFromNotes(notes)
	modules, modulesErr := r.proc.Modules()
	answer.Modules = modules
	answer.Symbols, err = r.kernelSymbols()
	return answer, errors.Join(err, notesErr, modulesErr)
}

// kernelSymbols returns where the kernel's own code is, if it is not to be named.
func (r procReader) kernelSymbols() (*symbol.Kernel, error) {
	text, err := r.proc.Kallsyms()
	if err != nil {
		return nil, err
	}
	defer text.Close()
	var sizes map[uint64]uint64
	if r.names.Kernel {
		sizes = source.ProgramSizes()
	}
	k, err := symbol.ReadKallsyms(text, sizes)
	if k != nil && !r.names.Kernel {
		k = k.Nameless()
	}
	if errors.Is(err, symbol.ErrHidden) {
		err = nil // Start has told
	}
	return k, err
}
