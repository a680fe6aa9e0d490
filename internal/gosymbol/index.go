// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// unitFunctions is how many functions a unit has: few, as it is all or nothing, and enough
// that what is kept of it is more than what it takes to keep it.
const unitFunctions = 4

// Index tells which unit, some functions in a row, is about an address, and where in the
// file they are. It is immutable, and safe for concurrent use. A unit costs four bytes.
type Index struct {
	in   Input // without what reads
	text uint64
	// starts are those of units, ascending, and the end of the last.
	starts []uint32
}

// ReadIndex reads where the functions are. It keeps nothing that reads.
func ReadIndex(in Input) (*Index, error) {
	r, err := open(in)
	if err != nil {
		return nil, err
	}
	in.Table, in.Memory = nil, nil
	x := &Index{in: in, text: r.start}
	for i := uint64(0); i < r.funcs+unitFunctions; i += unitFunctions {
		start, err := r.startOf(min(i, r.funcs))
		if err != nil {
			return nil, err
		}
		if n := len(x.starts); n > 0 && start < x.starts[n-1] {
			return nil, fmt.Errorf("%w: function %d at %#x, an earlier one at %#x", ErrDamaged, i, start, x.starts[n-1])
		}
		x.starts = append(x.starts, start)
	}
	x.starts = slices.Clip(x.starts)
	return x, nil
}

// Unit returns the number of the unit that is about addr.
func (x *Index) Unit(addr uint64) (n uint32, ok bool) {
	i, ok := below(x.text, x.starts, addr)
	return uint32(i), ok
}

// Range returns the addresses of all functions, the end excluded.
func (x *Index) Range() (start, end uint64) {
	return x.text + uint64(x.starts[0]), x.text + uint64(x.starts[len(x.starts)-1])
}

// Units is the number of units.
func (x *Index) Units() int { return len(x.starts) - 1 }

// Bytes is the memory the Index holds.
func (x *Index) Bytes() int { return int(unsafe.Sizeof(*x)) + 4*cap(x.starts) }

// Read reads units of the file that the index is of. What could not be read is nil.
func (x *Index) Read(f *elffile.File, sections []elffile.Section, numbers []uint32) ([]*Table, error) {
	in := x.in
	if err := (&image{File: f, sections: sections}).attach(&in); err != nil {
		return nil, err
	}
	r, err := open(in)
	if err != nil {
		return nil, err
	}
	var errs []error
	out := make([]*Table, len(numbers))
	for i, n := range numbers {
		if out[i], err = r.table(uint64(n)*unitFunctions, unitFunctions); err != nil {
			errs = append(errs, fmt.Errorf("unit %d: %w", n, err))
		}
	}
	return out, errors.Join(errs...)
}
