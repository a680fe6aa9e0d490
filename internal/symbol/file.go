// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"errors"
	"fmt"
	"io"
	"unsafe"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/gosymbol"
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
	golang     *gosymbol.Table // of a Go program
}

// Options say what is read of a file.
type Options struct {
	// Native: the names of its symbols. Go: the line table of a Go program.
	Native, Go bool
	// Separate finds what was stripped from it; nil finds nothing.
	Separate Finder
}

// Read reads the executable file of size bytes behind r. It keeps nothing of r.
//
// The File is never nil. With an error it holds what was read before: the hash
// of a file that is not ELF; hash, build IDs and segments, but no names, of one
// whose symbol tables are damaged or too large.
//
// Time and memory are bounded by the limits of this package however hostile the
// file is, and below them by what the file holds.
func Read(r io.ReaderAt, size int64, o Options) (*File, error) {
	f := &File{}
	if o.Separate == nil {
		o.Separate = none
	}
	if size < 0 {
		return f, fmt.Errorf("%w: size is %d", ErrDamaged, size)
	}
	var err error
	if f.htlHash, err = htlHash(r, size); err != nil {
		return f, fmt.Errorf("hash of the file: %w", err)
	}
	img, err := elffile.Open(r, size)
	if err != nil {
		return f, err
	}
	if f.segments, err = executable(img.Segments); err != nil {
		return f, err
	}
	// Damaged section headers cost the names, not the identity: build IDs are
	// in a segment, too.
	sections, serr := img.Sections()
	nerr := f.readNotes(img, sections)
	errs := []error{nerr, serr}
	if o.Go && serr == nil {
		errs = append(errs, f.readGo(img, sections))
	}
	if o.Native && serr == nil {
		f.functions, err = readFunctions(img, sections, f.namedBySymbols(), f.gnuBuildID, o.Separate)
		errs = append(errs, err)
	}
	return f, errors.Join(errs...)
}

// readGo reads the line table of a Go program. What another version of Go wrote in a
// way that is not known has the names of its symbols.
func (f *File) readGo(img *elffile.File, sections []elffile.Section) (err error) {
	f.golang, err = gosymbol.ReadELF(img, sections)
	if errors.Is(err, gosymbol.ErrNoTable) || errors.Is(err, gosymbol.ErrVersion) || errors.Is(err, gosymbol.ErrText) {
		return nil
	}
	return err
}

// namedBySymbols returns the executable segments without what the line table of a Go
// program names: it knows more, and its symbols take as much memory.
func (f *File) namedBySymbols() (out []Segment) {
	if f.golang == nil {
		return f.segments
	}
	start, end := f.golang.Range()
	for _, s := range f.segments {
		if before := min(start, s.Address+s.Size); before > s.Address {
			out = append(out, Segment{Address: s.Address, Size: before - s.Address, Offset: s.Offset})
		}
		if after := max(end, s.Address); after < s.Address+s.Size {
			out = append(out, Segment{Address: after, Size: s.Address + s.Size - after, Offset: s.Offset + after - s.Address})
		}
	}
	return out
}

// GoFrames appends where addr is in a Go program: the innermost inlined call first, then
// those that it was inlined into. Nothing is appended for other programs, and for C
// code in a Go program.
func (f *File) GoFrames(addr uint64, out []gosymbol.Frame) []gosymbol.Frame {
	if f.golang == nil {
		return out
	}
	return f.golang.Frames(addr, out)
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

// Name returns the name of the function that covers addr, an ELF virtual address
// as Address returns it. The name is as the file has it, without symbol version.
// It does not allocate: the string is part of the File's memory.
func (f *File) Name(addr uint64) (string, bool) { return f.functions.name(addr) }

// Segments are the parts that are loaded executable.
func (f *File) Segments() []Segment { return f.segments }

// Functions is the number of address ranges that have a name.
func (f *File) Functions() int { return len(f.functions.starts) }

// Bytes is the memory the File holds.
func (f *File) Bytes() int {
	return int(unsafe.Sizeof(*f)) + len(f.gnuBuildID) + len(f.goBuildID) + len(f.htlHash) +
		cap(f.segments)*int(unsafe.Sizeof(Segment{})) + f.functions.bytes() + f.goBytes()
}

func (f *File) goBytes() int {
	if f.golang == nil {
		return 0
	}
	return f.golang.Bytes()
}
