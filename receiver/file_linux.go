// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime/debug"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/dwarfsymbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/procfs"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// muchRead is how much of files takes tens of megabytes to read.
const muchRead = 8 << 20

// rest gives the memory back that was needed to read files: it is several times what is
// kept, and a quiet collector would hold on to it for minutes. That looks at all memory, so
// it is done once for many files.
func (r procReader) rest() {
	if r.readBytes.Load() >= muchRead {
		r.readBytes.Store(0)
		debug.FreeOSMemory()
	}
}

// file reads through a process that has the file mapped: the path may name another
// file by now, or none. A file that is no ELF file still has a hash.
func (r procReader) file(request pipeline.FileRequest) (pipeline.FileAnswer, error) {
	if request.Mapping.VDSO() {
		return r.vdso(request)
	}
	answer := pipeline.FileAnswer{ID: request.ID}
	var fault, tableFault error
	f, err := r.open(request, func(f *os.File, pids []uint32) (ok bool) {
		if answer.Content, ok = identify(f, request.Mapping.BuildID); !ok {
			return false
		}
		if answer.Content == request.Known {
			return true
		}
		answer.File, fault = r.read(f, answer.Content.Size, request, pids)
		if !request.Placed {
			answer.Table, tableFault = compile(r.stoppable(f), answer.Content.Size, request.Mapping.Path)
		}
		return true
	})
	if err != nil {
		return pipeline.FileAnswer{ID: request.ID}, nil
	}
	f.Close()
	if answer.File != nil {
		r.readBytes.Add(answer.Content.Size)
	}
	return withFaults(answer, fault, tableFault)
}

// withFaults says what of the names and of the unwind information was left out.
func withFaults(answer pipeline.FileAnswer, names, table error) (pipeline.FileAnswer, error) {
	answer.Faulty, answer.TableFaulty = names != nil, table != nil
	return answer, errors.Join(names, table)
}

// compile reads the unwind information of a file. The error is about what was left out.
func compile(r io.ReaderAt, size int64, path string) (*unwind.Table, error) {
	table, err := unwind.Compile(r, size)
	switch {
	case err == nil && table.Damaged == 0:
		return table, nil
	case err == nil:
		err = fmt.Errorf("%d of %d descriptions: %w", table.Damaged, table.Damaged+table.Functions, table.Cause)
	case errors.Is(err, symbol.ErrNotELF), errors.Is(err, symbol.ErrUnsupported), errors.Is(err, unwind.ErrArch),
		errors.Is(err, unwind.ErrNoFrames):
		return nil, nil
	}
	return table, fmt.Errorf("unwind information of %q is left out: %w", path, err)
}

// open opens the file where its process or the parent has it, else where another process
// of the container has. A life and its parent may both be over, such as of a script that
// runs scripts, and the container goes on. is is told through whom it was found.
func (r procReader) open(request pipeline.FileRequest, is func(f *os.File, pids []uint32) bool) (*os.File, error) {
	through := func(pids []uint32) (*os.File, error) {
		return r.proc.OpenMapped(pids, request.Mapping, func(f *os.File) bool { return is(f, pids) })
	}
	f, err := through(request.PIDs[:])
	if err == nil {
		return f, nil
	}
	if members := r.proc.Members(request.Group); len(members) > 0 {
		return through(members)
	}
	return nil, err
}

// identify says whether a file may be the one that is asked for.
func identify(f *os.File, buildID string) (content event.File, ok bool) {
	content, err := procfs.Identity(f)
	return content, err == nil && (buildID == "" || buildID == symbol.ReadBuildID(f, content.Size))
}

// read reads the names of a file. The error is about what was left out.
func (r procReader) read(f *os.File, size int64, request pipeline.FileRequest, pids []uint32) (*symbol.File, error) {
	c := companions{reader: r, request: request, pids: pids}
	defer func() {
		c.close()
		r.readBytes.Add(c.read)
	}()
	file, err := symbol.Read(r.stoppable(f), size, c.options())
	if errors.Is(err, symbol.ErrNotELF) || errors.Is(err, symbol.ErrUnsupported) {
		err = nil
	}
	if err = errors.Join(err, c.fault); err == nil {
		return file, nil
	}
	return file, fmt.Errorf("names of %q are left out: %w", request.Mapping.Path, err)
}

// units reads debug information. A file without build ID has to be the one whose index
// is asked about. The error is about what was left out.
func (r procReader) units(request pipeline.UnitRequest) (pipeline.UnitAnswer, error) {
	answer := pipeline.UnitAnswer{ID: request.ID, Numbers: request.Numbers}
	c := companions{reader: r, request: request.FileRequest}
	var size int64
	f, err := r.open(request.FileRequest, func(f *os.File, pids []uint32) bool {
		c.pids = pids
		content, ok := identify(f, request.ID.BuildID)
		size = content.Size
		return ok && (request.Known == event.File{} || request.Known == content)
	})
	if err != nil {
		return answer, nil
	}
	defer f.Close()
	defer c.close()
	if request.Index == nil {
		answer.Index, err = symbol.ReadIndex(r.stoppable(f), size, c.options())
		if damaged := answer.Index.Damaged(); err == nil && damaged > 0 {
			err = fmt.Errorf("%w: %d of %d units", dwarfsymbol.ErrDamaged, damaged, answer.Index.Units())
		}
		answer.Damaged = err != nil
	} else {
		answer.Units, err = symbol.ReadUnits(r.stoppable(f), size, c.options(), request.Index, request.Numbers)
		if answer.Units == nil {
			answer.Units = make([]*symbol.Unit, len(request.Numbers))
		}
	}
	if err != nil {
		err = fmt.Errorf("lines and inlined calls of %q are left out: %w", request.Mapping.Path, err)
	}
	return answer, err
}

// companions are the files that belong to one that is asked for: what was stripped from
// it, and what else its debug information refers to.
type companions struct {
	reader  procReader
	request pipeline.FileRequest
	pids    []uint32 // of processes that may have them
	files   []*os.File
	read    int64 // the bytes of files
	// beside is the directory of the separate debug file, or of the file itself.
	beside string
	// fault is why a file was not looked at.
	fault error
}

func (c *companions) options() symbol.Options {
	n := c.reader.names
	c.beside = path.Dir(c.request.Mapping.Path)
	return symbol.Options{Native: n.Native, Go: n.Go, Separate: c.separate, Other: c.other}
}

// separate opens the separate debug file.
func (c *companions) separate(which symbol.Separate) (io.ReaderAt, int64) {
	return c.open(which.Paths(c.reader.debug, c.request.Mapping.Path), c.is(which))
}

// is says whether a file is the one that holds what was stripped.
func (c *companions) is(which symbol.Separate) func(*os.File, int64) bool {
	return func(f *os.File, size int64) bool {
		return which.Is(f, size, func(io.ReaderAt, int64) (uint32, error) {
			sum, err := c.reader.sums.of(f, c.reader.stopped)
			if err != nil {
				c.fault = fmt.Errorf("checksum of %q: %w", f.Name(), err)
			}
			return sum, err
		})
	}
}

// other opens another file of the debug information. Paths in a file are relative to it.
func (c *companions) other(which dwarfsymbol.Other) (io.ReaderAt, int64) {
	if which.Package {
		return c.open([]string{c.request.Mapping.Path + ".dwp"}, anyFile)
	}
	at := which.Path
	if !path.IsAbs(at) {
		at = path.Join(c.beside, at)
	}
	if which.BuildID == "" {
		return c.open([]string{at}, anyFile)
	}
	id := symbol.Separate{BuildID: which.BuildID}
	return c.open(append([]string{at}, id.Paths(c.reader.debug, "")...), c.is(id))
}

// anyFile is for files that are known by what is in them.
func anyFile(*os.File, int64) bool { return true }

// open opens the first file that is the one, as long as the companions are in use.
func (c *companions) open(paths []string, is func(*os.File, int64) bool) (io.ReaderAt, int64) {
	var size int64
	f, err := c.reader.proc.OpenOne(c.pids, paths, func(f *os.File) bool {
		info, err := f.Stat()
		if err != nil {
			return false
		}
		size = info.Size()
		return is(f, size)
	})
	if err != nil {
		return nil, 0 // most files have none
	}
	c.files = append(c.files, f)
	c.read += size
	c.beside = path.Dir(f.Name())
	return c.reader.stoppable(f), size
}

func (c *companions) close() {
	for _, f := range c.files {
		f.Close()
	}
}
