// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

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
	debug []string
}

func (r procReader) Close() error { return r.proc.Close() }

func newReader(s Settings) (reader, error) {
	proc, err := procfs.New(s.RootPath, procfs.Given{CommandArgs: s.CommandArgs, Variables: s.Variables})
	if err != nil {
		return nil, fmt.Errorf("root_path %q: %w", s.RootPath, err)
	}
	return procReader{proc, s.DebugDirectories}, nil
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

// file reads through a process that has the file mapped: the path may name another
// file by now, or none. A file that is no ELF file still has a hash.
func (r procReader) file(request pipeline.FileRequest) pipeline.FileAnswer {
	answer := pipeline.FileAnswer{ID: request.ID}
	f, err := r.proc.OpenMapped(request.PIDs[:], request.Mapping, func(f *os.File) (ok bool) {
		answer.Content, answer.File, ok = r.read(f, request)
		if ok && answer.File != nil && !request.Placed {
			answer.Table, _ = unwind.Compile(f, answer.Content.Size) // few files have none
		}
		return ok
	})
	if err != nil {
		return pipeline.FileAnswer{ID: request.ID}
	}
	f.Close()
	if answer.File != nil && answer.Content.Size >= largeFile {
		// What was needed to read it is several times what is kept, and a quiet collector
		// would hold on to it for minutes.
		debug.FreeOSMemory()
	}
	return answer
}

// largeFile is the size of a file that takes tens of megabytes to read.
const largeFile = 8 << 20

// read reads a file that may be the one that is asked for.
func (r procReader) read(f *os.File, request pipeline.FileRequest) (content event.File, file *symbol.File, ok bool) {
	content, err := procfs.Identity(f)
	if err != nil {
		return content, nil, false
	}
	if want := request.Mapping.BuildID; want != "" && want != symbol.ReadBuildID(f, content.Size) {
		return content, nil, false
	}
	if content == request.Known {
		return content, nil, true
	}
	s := separateFile{reader: r, request: request}
	defer s.close()
	file, _ = symbol.Read(f, content.Size, symbol.Options{Native: true, Go: true, Separate: s.find})
	return content, file, true
}

// separateFile is the separate debug file of the file that is asked for.
type separateFile struct {
	reader  procReader
	request pipeline.FileRequest
	file    *os.File
}

// find opens it.
func (s *separateFile) find(which symbol.Separate) (io.ReaderAt, int64) {
	paths := which.Paths(s.reader.debug, s.request.Mapping.Path)
	var size int64
	f, err := s.reader.proc.OpenOne(s.request.PIDs[:], paths, func(f *os.File) bool {
		info, err := f.Stat()
		if err != nil {
			return false
		}
		size = info.Size()
		return which.Is(f, size)
	})
	if err != nil {
		return nil, 0 // most files have none
	}
	s.close()
	s.file = f
	return f, size
}

func (s *separateFile) close() {
	if s.file != nil {
		s.file.Close()
	}
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
	return k, buildID, errors.Join(err, notesErr)
}
