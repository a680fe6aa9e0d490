// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"errors"
	"fmt"
	"io"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// What can be wrong with a file, beside what elffile.Open says. Compile wraps one
// of these, or an I/O error.
var (
	// ErrArch: the file is for an architecture that has no tables.
	ErrArch = errors.New("no call frame information for this architecture")
	// ErrNoFrames: the file has no call frame information for its code.
	ErrNoFrames = errors.New("no call frame information")
	// ErrDamaged: what the file says about itself cannot be.
	ErrDamaged = elffile.ErrDamaged
	// ErrTooLarge: the file may be right, but exceeds a limit of this package.
	ErrTooLarge = elffile.ErrTooLarge

	errRows = fmt.Errorf("%w: more than %d rows", ErrTooLarge, maxRows)
)

const (
	// maxSection bounds a section of call frame information. That of libLLVM has
	// 6 MB.
	maxSection = 128 << 20
	// maxFDEs and maxCIEs bound the entries of a section. Each compilation unit
	// has a CIE in .debug_frame, where linkers do not merge them.
	maxFDEs = 4 << 20
	maxCIEs = 256 << 10
)

// Compile reads the call frame information of the executable file of size bytes
// behind r: .eh_frame, for the addresses that it lacks the line table of Go, and last
// .debug_frame. It keeps nothing of r.
//
// A malformed description is left out and counted in the Table. An error means
// that there is no Table at all.
func Compile(r io.ReaderAt, size int64) (*Table, error) {
	file, err := elffile.Open(r, size)
	if err != nil {
		return nil, err
	}
	t := &Table{}
	var regs registers
	if t.Arch, regs, err = archOf(file.Machine); err != nil {
		return nil, err
	}
	code, err := executable(file.Segments)
	if err != nil {
		return nil, err
	}
	eh, debug, err := sections(file)
	if err != nil && len(eh.data) == 0 {
		return nil, err
	}
	b := builder{r: r, table: t, code: code, machine: machine{regs: regs}, dictionary: newDictionary()}
	if err != nil {
		b.damage(err)
	}
	if err := b.build(&eh, &debug, goTable(file)); err != nil {
		return nil, err
	}
	return t, nil
}
