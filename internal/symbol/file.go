// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/dwarfsymbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/threadlocal"
)

// What can be wrong with a file. Read wraps one of these, or an I/O error.
var (
	// ErrNotELF: the file does not start with an ELF header.
	ErrNotELF = elffile.ErrNotELF
	// ErrUnsupported: an ELF file, but not 64-bit little-endian.
	ErrUnsupported = elffile.ErrUnsupported
	// ErrDamaged: what the file says about itself cannot be.
	ErrDamaged = elffile.ErrDamaged
	// ErrTooLarge: the file may be right, but exceeds a limit of this package.
	ErrTooLarge = elffile.ErrTooLarge
)

// File is what one executable file tells about itself. It is immutable, and
// safe for concurrent use.
type File struct {
	gnuBuildID string
	goBuildID  string
	htlHash    string
	segments   []Segment
	functions  table
	index      *Index // of a Go program
	context    threadlocal.Variable
}

// Options say what is read of a file.
type Options struct {
	// Native: the names of its symbols. Go: the line table of a Go program.
	Native, Go bool
	// Separate finds what was stripped from it, Other what else its debug information
	// refers to; nil finds nothing.
	Separate Finder
	Other    dwarfsymbol.Opener
}

// Read reads the executable file of size bytes behind r. It keeps nothing of r.
//
// The File is never nil. With an error it holds what was read before: the hash
// of a file that is not ELF; hash, build IDs and segments, but not all names, of one
// whose tables are damaged or too large.
//
// Time and memory are bounded by the limits of this package however hostile the
// file is, and below them by what the file holds.
func Read(r io.ReaderAt, size int64, o Options) (*File, error) {
	f := &File{}
	if size < 0 {
		return f, fmt.Errorf("%w: size is %d", ErrDamaged, size)
	}
	var err error
	if f.htlHash, err = htlHash(r, size); err != nil {
		return f, fmt.Errorf("hash of the file: %w", err)
	}
	s := source{}
	if s.File, err = elffile.Open(r, size); err != nil {
		return f, err
	}
	if f.segments, err = executable(s.Segments); err != nil {
		return f, err
	}
	// Damaged section headers cost the names, not the identity: build IDs are
	// in a segment, too.
	s.sections, err = s.Sections()
	nerr := f.readNotes(s.File, s.sections)
	if err != nil {
		return f, errors.Join(nerr, err)
	}
	if f.context, err = threadlocal.Find(s.File, s.sections, ThreadContext); err != nil {
		nerr = errors.Join(nerr, fmt.Errorf("%s: %w", ThreadContext, err))
	}
	return f, errors.Join(nerr, f.readNames(&image{source: s, buildID: f.gnuBuildID, options: o}))
}

// readNames reads what the options ask for.
func (f *File) readNames(img *image) (err error) {
	f.functions, f.index, err = readFunctions(img, f.segments)
	return err
}

// Frame is a function at one place of its source.
type Frame struct {
	Function string
	// File is a path as the compiler saw it, empty if it is not known. Line is 0 if it is
	// not known, or the compiler made the code up.
	File string
	Line int
}

// Frames appends where addr is: the innermost inlined call first, then those that it
// was inlined into. unit is what is known of the lines and inlined calls of the address, nil
// if that is nothing. Of the function itself the symbol counts, which tells copies that the
// compiler made of it apart. Nothing is appended if nothing is known.
func (f *File) Frames(addr uint64, unit *Unit, out []Frame) []Frame {
	first := len(out)
	if unit != nil {
		out = unit.frames(addr, out)
	}
	name, ok := f.Name(addr)
	switch last := len(out) - 1; {
	case ok && last >= first:
		out[last].Function = name
	case ok:
		out = append(out, Frame{Function: name})
	case last >= first && out[last].Function == "":
		return out[:first]
	}
	return out
}

// ReadBuildID reads the linker's build ID of the file of size bytes behind r, empty if
// there is none.
func ReadBuildID(r io.ReaderAt, size int64) string {
	img, err := elffile.Open(r, size)
	if err != nil {
		return ""
	}
	// Without section headers the segments tell; and what is damaged tells nothing.
	f := &File{}
	sections, _ := img.Sections()
	_ = f.readNotes(img, sections)
	return f.gnuBuildID
}

// GNUBuildID is the linker's build ID as lower-case hex, empty if there is none.
func (f *File) GNUBuildID() string { return f.gnuBuildID }

// GoBuildID is the Go toolchain's build ID, empty if there is none.
func (f *File) GoBuildID() string { return f.goBuildID }

// HTLHash is the hash of head, tail and length by which OpenTelemetry names a
// file without build ID.
func (f *File) HTLHash() string { return f.htlHash }

// ThreadContext is the variable by which threads publish what they work for (OTEP 4947).
const ThreadContext = "otel_thread_ctx_v1"

// Context is that variable, if the file exports it.
func (f *File) Context() threadlocal.Variable { return f.context }

// Name returns the name of the function that covers addr, an ELF virtual address
// as Address returns it. The name is as the file has it, without symbol version.
func (f *File) Name(addr uint64) (string, bool) { return f.functions.name(addr) }

// Segments are the parts that are loaded executable.
func (f *File) Segments() []Segment { return f.segments }

// Functions is the number of address ranges that have a name.
func (f *File) Functions() int { return len(f.functions.starts) }

// Index is that of the lines and inlined calls of a Go program, nil for other files.
func (f *File) Index() *Index { return f.index }

// Nameless is the file without names.
func (f *File) Nameless() *File {
	return &File{gnuBuildID: f.gnuBuildID, goBuildID: f.goBuildID, htlHash: f.htlHash, segments: f.segments, context: f.context}
}

// Bytes is the memory the File holds.
func (f *File) Bytes() int {
	n := int(unsafe.Sizeof(*f)) + len(f.gnuBuildID) + len(f.goBuildID) + len(f.htlHash) +
		cap(f.segments)*int(unsafe.Sizeof(Segment{})) + f.functions.bytes()
	if f.index != nil {
		n += f.index.Bytes()
	}
	return n
}
