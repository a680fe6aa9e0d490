// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"errors"
	"fmt"
	"io"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// What can be wrong with debug information. The functions of this package wrap one
// of these, one of elffile's, or an I/O error.
var (
	// ErrNone: the file has no debug information.
	ErrNone = errors.New("no debug information")
	// ErrDamaged: what it says about itself cannot be.
	ErrDamaged = errors.New("damaged debug information")
	// ErrUnsupported: a version of DWARF, or a form, that this package does not know.
	ErrUnsupported = errors.New("unknown debug information")
	// ErrTooLarge: it may be right, but exceeds a limit of this package.
	ErrTooLarge = errors.New("debug information exceeds a limit")
	// ErrElsewhere: a part of it is in another file that was not found.
	ErrElsewhere = errors.New("debug information is in a file that is not there")
)

// maxUnpacked bounds the compressed sections of a file, unpacked, which have to be in
// memory as a whole while it is read.
const maxUnpacked = 256 << 20

// Other names a file that has a part of the debug information.
type Other struct {
	// Path is where the file should be, if absolute; BuildID is the linker's, as
	// lower-case hex. Either may be empty.
	Path, BuildID string
	// Package: it is the DWARF package of the executable file, beside it.
	Package bool
}

// Opener opens another file of size bytes; r is nil if it is not there.
type Opener func(Other) (r io.ReaderAt, size int64)

// Debug is the debug information of a file while it is being read.
type Debug struct {
	sections
	img  *elffile.File
	open Opener
	// code are the addresses that the file has instructions at, ascending.
	code     []extent
	unpacked uint64
	// left is how much more may be read: bytes of tables that units refer to, and entries
	// with their attributes.
	left uint64
	// lost is why the file cannot be read any more.
	lost    error
	abbrevs map[uint64]abbrevs
	kept    int              // bytes of abbrevs
	units   map[uint64]*unit // by their offset
	index   *Index
	// indexErr is why there is none of a file that is referred to.
	indexErr error
	// alt is the supplementary file (dwz), pack the DWARF package, if they were opened.
	alt, pack  *Debug
	altErr     error
	packOpened bool
	// looked counts the units that were looked at for one that was split off.
	looked int
}

// sections are those of one file, or of one unit in a package; nil if they are not
// there.
type sections struct {
	info, abbrev, str, lineStr, strOffsets, addr, ranges, rnglists, line *section
}

// Open looks for debug information in an ELF file with the given sections. What of it
// is elsewhere is opened when it is needed; open may be nil.
func Open(img *elffile.File, all []elffile.Section, open Opener) (*Debug, error) {
	d, err := openSections(img, all, "", open)
	if err != nil {
		return nil, err
	}
	if d.info == nil || d.abbrev == nil {
		return nil, ErrNone
	}
	d.code = executable(img.Segments, all)
	return d, nil
}

// openSections opens the sections whose names end in suffix.
func openSections(img *elffile.File, all []elffile.Section, suffix string, open Opener) (*Debug, error) {
	if open == nil {
		open = func(Other) (io.ReaderAt, int64) { return nil, 0 }
	}
	d := &Debug{img: img, open: open, abbrevs: map[uint64]abbrevs{}, units: map[uint64]*unit{}}
	names := []string{".debug_info", ".debug_abbrev", ".debug_str", ".debug_line_str", ".debug_str_offsets",
		".debug_addr", ".debug_ranges", ".debug_rnglists", ".debug_line"}
	for i := range names {
		names[i] += suffix
	}
	found, err := img.Named(all, names...)
	if err != nil {
		return nil, err
	}
	targets := []**section{&d.info, &d.abbrev, &d.str, &d.lineStr, &d.strOffsets, &d.addr, &d.ranges, &d.rnglists, &d.line}
	for i, s := range found {
		if *targets[i], err = d.section(names[i], s); err != nil {
			return nil, err
		}
	}
	d.budget()
	return d, nil
}

// section opens a section, nil if it is not in the file.
func (d *Debug) section(name string, s elffile.Section) (*section, error) {
	if !s.InFile() || s.Size == 0 {
		return nil, nil
	}
	out := &section{name: name, debug: d, header: s, size: s.Size}
	if !s.Compressed() {
		if !d.img.Holds(s.Offset, s.Size) {
			return nil, fmt.Errorf("%w: %s is beyond the end of the file", ErrDamaged, name)
		}
		return out, nil
	}
	size, err := d.img.UnpackedSize(name, s)
	if err != nil {
		return nil, err
	}
	return &section{name: name, size: size, unpack: func() ([]byte, error) {
		content, err := d.img.Content(name, s, maxUnpacked-d.unpacked)
		d.unpacked += uint64(len(content))
		return content, err
	}}, nil
}

// budget begins a piece of work. Units may refer to the same tables, so what is read of
// them is bounded: by some times their size, which no compiler comes near. So are the
// attributes of entries, as some take no bytes; compilers write one per two bytes.
func (d *Debug) budget() {
	const least, times, perByte, most = 16 << 20, 8, 2, 512 << 20
	d.looked = 0
	size := uint64(0)
	for _, s := range []*section{d.abbrev, d.ranges, d.rnglists} {
		if s != nil {
			size += times * min(s.size, most)
		}
	}
	if d.info != nil {
		size += perByte * min(d.info.size, most)
	}
	d.left = min(least+size, most)
	for _, other := range []*Debug{d.alt, d.pack} {
		if other != nil {
			other.budget()
		}
	}
}

// lookEvery is how much of the budget is spent between two looks at the file.
const lookEvery = 1 << 20

// spend takes n of the budget. Now and then it looks at the file, as work in memory would
// not notice that its reader was told to stop.
func (d *Debug) spend(n int) error {
	if uint64(n) > d.left {
		return fmt.Errorf("%w: more is read of tables and entries than is usual", ErrTooLarge)
	}
	before := d.left
	d.left -= uint64(n)
	if before/lookEvery != d.left/lookEvery {
		return d.look()
	}
	return d.lost
}

// look returns why the file cannot be read any more, nil if it can.
func (d *Debug) look() error {
	if d.lost == nil {
		d.lost = d.img.Fill("ELF header", make([]byte, 1), 0)
	}
	return d.lost
}
