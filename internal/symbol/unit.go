// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"errors"
	"fmt"
	"io"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/dwarfsymbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/gosymbol"
)

// Index tells which unit of lines and inlined calls is about an address: that of the debug
// information of a file, or of the line table of a Go program. It is immutable, and safe for
// concurrent use.
type Index struct {
	debug  *dwarfsymbol.Index
	golang *gosymbol.Index
}

// Unit returns the number of the unit that is about addr.
func (x *Index) Unit(addr uint64) (n uint32, ok bool) {
	switch {
	case x.golang != nil:
		return x.golang.Unit(addr)
	case x.debug != nil:
		return x.debug.Unit(addr)
	}
	return 0, false
}

// Units is the number of units.
func (x *Index) Units() int {
	switch {
	case x.golang != nil:
		return x.golang.Units()
	case x.debug != nil:
		return x.debug.Units()
	}
	return 0
}

// Damaged is the number of units that could not be read.
func (x *Index) Damaged() int {
	if x.debug != nil {
		return x.debug.Damaged
	}
	return 0
}

// Bytes is the memory the Index holds.
func (x *Index) Bytes() int {
	switch {
	case x.golang != nil:
		return x.golang.Bytes()
	case x.debug != nil:
		return x.debug.Bytes()
	}
	return 0
}

// Unit are the lines and inlined calls of some code. It is immutable, and safe for concurrent
// use.
type Unit struct {
	debug  *dwarfsymbol.Unit
	golang *gosymbol.Table
}

// frames appends to out what addr is: the inlined calls, innermost first, then the function.
func (u *Unit) frames(addr uint64, out []Frame) []Frame {
	if u.golang != nil {
		for _, g := range u.golang.Frames(addr, nil) {
			out = append(out, Frame{g.Function, g.File, g.Line})
		}
	}
	if u.debug != nil {
		for _, d := range u.debug.Frames(addr, nil) {
			out = append(out, Frame{d.Function, d.File, d.Line})
		}
	}
	return out
}

// Bytes is the memory the Unit holds.
func (u *Unit) Bytes() int {
	switch {
	case u.golang != nil:
		return u.golang.Bytes()
	case u.debug != nil:
		return u.debug.Bytes()
	}
	return 0
}

// ReadIndex reads where in the debug information of the file of size bytes behind r what
// is. The index is never nil: it is empty if there is none, and with an error.
func ReadIndex(r io.ReaderAt, size int64, o Options) (*Index, error) {
	d, err := openDebug(r, size, o)
	if errors.Is(err, dwarfsymbol.ErrNone) {
		return &Index{}, nil
	}
	if err != nil {
		return &Index{}, err
	}
	x, err := d.Index()
	if err != nil {
		return &Index{}, err
	}
	return &Index{debug: x}, nil
}

// ReadUnits reads units of the file of size bytes behind r, of which x is the index. What
// could not be read is nil, and what was read in part is there all the same.
func ReadUnits(r io.ReaderAt, size int64, o Options, x *Index, numbers []uint32) ([]*Unit, error) {
	if x.golang != nil {
		return readGoUnits(r, size, x.golang, numbers)
	}
	d, err := openDebug(r, size, o)
	if err != nil {
		return nil, err
	}
	units := make([]*Unit, len(numbers))
	var errs []error
	for i, n := range numbers {
		u, err := d.Unit(x.debug, n)
		if err != nil {
			errs = append(errs, fmt.Errorf("unit %d: %w", n, err))
		}
		if u != nil {
			units[i] = &Unit{debug: u}
		}
	}
	return units, errors.Join(errs...)
}

func readGoUnits(r io.ReaderAt, size int64, x *gosymbol.Index, numbers []uint32) ([]*Unit, error) {
	s, err := openSource(r, size)
	if err != nil {
		return nil, err
	}
	tables, err := x.Read(s.File, s.sections, numbers)
	units := make([]*Unit, len(numbers))
	for i, t := range tables {
		if t != nil {
			units[i] = &Unit{golang: t}
		}
	}
	return units, err
}
