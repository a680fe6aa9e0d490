// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/preflight"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/procfs"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// procReader reads the host's /proc, and the files of processes.
type procReader struct {
	proc *procfs.Reader
	// debug are the directories of separate debug files.
	debug   []string
	names   Names
	garbage *garbage
}

func (r procReader) Close() error { return r.proc.Close() }

func newReader(s Settings) (reader, error) {
	proc, err := procfs.New(s.RootPath, procfs.Given{CommandArgs: s.CommandArgs, Variables: s.Variables})
	if err != nil {
		return nil, fmt.Errorf("root_path %q: %w", s.RootPath, err)
	}
	return procReader{proc, s.DebugDirectories, s.Names, &garbage{}}, nil
}

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
			ParentPID:   p.ParentPID,
			CommandArgs: p.CommandArgs,
			Environment: p.Environment,
		}
		answer.Mappings, answer.Truncated = p.Mappings, p.Truncated > 0
	}
	return answer
}

// container of a group that is gone or may not be read is left to its processes.
func (r procReader) container(id event.CgroupID) string {
	container, _ := r.proc.Container(id)
	return container
}

// vdso reads the code that is the kernel's and in no file.
func (r procReader) vdso(request pipeline.FileRequest) (pipeline.FileAnswer, error) {
	answer := pipeline.FileAnswer{ID: request.ID}
	image, err := r.proc.VDSO()
	if err != nil {
		return answer, fmt.Errorf("names of the vDSO are left out: %w", err)
	}
	content, size := bytes.NewReader(image), int64(len(image))
	answer.File, err = symbol.Read(content, size, symbol.Options{Native: r.names.Kernel})
	if !request.Placed {
		answer.Table, _ = unwind.Compile(content, size)
	}
	return answer, err
}

// perfMap reads the list of code that a process made at run time, if it has grown.
func (r procReader) perfMap(request pipeline.PerfMapRequest) pipeline.PerfMapAnswer {
	answer := pipeline.PerfMapAnswer{PerfMapRequest: request, From: preflight.Now()}
	f, startTick, err := r.proc.OpenPerfMap(request.PID)
	answer.StartTick = startTick
	if err == nil {
		defer f.Close()
		answer.Map, answer.Size = readPerfMap(f, request.Size)
	}
	answer.To = preflight.Now()
	return answer
}

// readPerfMap returns the list and its size, no list if the size is the known one.
func readPerfMap(f *os.File, known int64) (*symbol.PerfMap, int64) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0
	}
	if info.Size() == known {
		return nil, known
	}
	m, _ := symbol.ReadPerfMap(f) // what is too large is read in part
	return m, info.Size()
}

// threadContext looks up in the memory of a process where its threads have their context.
func (r procReader) threadContext(request pipeline.ThreadContextRequest) pipeline.ThreadContextAnswer {
	answer := pipeline.ThreadContextAnswer{ThreadContextRequest: request}
	memory, startTick, err := r.proc.OpenMemory(request.PID)
	answer.StartTick = startTick
	if err == nil {
		defer memory.Close()
		answer.Place, _ = request.Variable.Locate(request.Bias, request.Musl, func(b []byte, address uint64) error {
			return elffile.ReadFull(memory, b, int64(address))
		})
	}
	answer.To = preflight.Now()
	return answer
}

func (r procReader) tellsContainers() bool { return r.proc.TellsContainers() }

func (r procReader) kernel() (*symbol.Kernel, string, error) {
	notes, notesErr := r.proc.KernelNotes()
	buildID := symbol.BuildIDFromNotes(notes)
	text, err := r.proc.Kallsyms()
	if err != nil {
		return nil, buildID, errors.Join(err, notesErr)
	}
	defer text.Close()
	k, err := symbol.ReadKallsyms(text)
	if k != nil && !r.names.Kernel {
		k = k.Nameless()
	}
	if errors.Is(err, symbol.ErrHidden) {
		err = nil // Start has told
	}
	return k, buildID, errors.Join(err, notesErr)
}
