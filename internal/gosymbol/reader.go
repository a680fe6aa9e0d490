// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// What can be wrong with a file. The functions of this package wrap one of these, or
// return an I/O error.
var (
	// ErrNoTable: no Go program, as far as can be seen.
	ErrNoTable = errors.New("no Go line table")
	// ErrVersion: a line table of a Go version that this package does not know,
	// or of a machine that is not 64-bit little-endian.
	ErrVersion = errors.New("unknown version of the Go line table")
	// ErrText: nothing says which address the functions are relative to.
	ErrText = errors.New("start of the Go code is not known")
	// ErrDamaged: what the file says about itself cannot be.
	ErrDamaged = errors.New("damaged Go line table")
	// ErrTooLarge: the file may be right, but exceeds a limit of this package.
	ErrTooLarge = errors.New("line table of Go exceeds a limit")
)

// maxTable bounds the line table. The section of a large Go program has some 60 MiB.
const maxTable = 256 << 20

// Input is a line table and what else is taken of the program.
type Input struct {
	// Table is runtime.pclntab. It may be followed by other bytes; Size is that of all.
	Table io.ReaderAt
	Size  uint64
	// Address is where Table is in the program's memory.
	Address uint64
	// Text is the address of runtime.text, 0 if it is not known. Then the one in
	// the header of the table is used, if there is one.
	Text uint64
	// GoFunc is the address of go:func.*, 0 if it is not known.
	GoFunc uint64
	// Memory fills a buffer with what is at addr when the program starts, if it has
	// that. It is called for inline trees that are not in Table, and may be nil.
	Memory func(addr uint64, to []byte) bool

	offset uint64 // of the table in its file
	// absolute: its addresses are what the loader makes of them, so it is read as a whole.
	absolute bool
}

// reader reads a line table, of which it has little in memory.
type reader struct {
	header
	in                       Input
	start                    uint64 // that functions are relative to
	names, units, files, pcs window
	index, records           window // which begin at the same place
}

// open reads the header.
func open(in Input) (*reader, error) {
	if in.Size > maxTable {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, in.Size, maxTable)
	}
	head := make([]byte, min(in.Size, headerSize))
	if err := elffile.ReadFull(in.Table, head, 0); err != nil {
		return nil, fmt.Errorf("read line table: %w", err)
	}
	h, err := parseHeader(head, in.Size)
	if err != nil {
		return nil, err
	}
	r := &reader{header: h, in: in}
	ends := append(h.parts[1:], in.Size)
	for i, w := range []*window{&r.names, &r.units, &r.files, &r.pcs, &r.index} {
		*w = window{r: in.Table, from: h.parts[i], size: ends[i] - h.parts[i]}
	}
	r.records = r.index
	return r, r.setStart()
}

// setStart finds what functions are relative to.
func (r *reader) setStart() error {
	switch {
	case r.word == pointerSize:
		b, err := r.index.view(0, pointerSize)
		if err != nil {
			return err
		}
		r.start = binary.LittleEndian.Uint64(b)
	case r.in.Text != 0:
		r.start = r.in.Text
	default:
		r.start = r.text
	}
	if r.start == 0 {
		return ErrText
	}
	return nil
}

// number reads word i of the index.
func (r *reader) number(i uint64) (uint64, error) {
	b, err := r.index.view(i*uint64(r.word), uint64(r.word))
	switch {
	case err != nil:
		return 0, err
	case r.word == pointerSize:
		return binary.LittleEndian.Uint64(b), nil
	}
	return uint64(binary.LittleEndian.Uint32(b)), nil
}

// startOf reads where function i starts, relative to the text; that behind the last is its
// end.
func (r *reader) startOf(i uint64) (uint32, error) {
	at, err := r.number(2 * i)
	if err != nil || r.word != pointerSize {
		return uint32(at), err
	}
	if at < r.start || at-r.start > math.MaxUint32 {
		return 0, fmt.Errorf("%w: function %d at %#x, the first at %#x", ErrDamaged, i, at, r.start)
	}
	return uint32(at - r.start), nil
}

// entry is a function: where it is, relative to the text, and where its record is.
type entry struct {
	start, end uint32
	record     uint64
}

// each calls visit with n functions from the first on, which ascend, as their records do:
// those do not overlap, so what is kept of each is in proportion to the table.
func (r *reader) each(first, n uint64, visit func(entry) error) error {
	start, err := r.startOf(first)
	free := (2*r.funcs + 1) * uint64(r.word) // records are behind the index
	for i := first; i < first+n && err == nil; i++ {
		e := entry{start: start}
		if e.end, err = r.startOf(i + 1); err != nil {
			return err
		}
		if e.end < start {
			return fmt.Errorf("%w: function %d at %#x, the one before at %#x", ErrDamaged, i+1, e.end, start)
		}
		if e.record, err = r.number(2*i + 1); err != nil {
			return err
		}
		if size := r.records.size; e.record < free || e.record > size || size-e.record < uint64(r.record) {
			return fmt.Errorf("%w: record %d at %d, %d are free from %d", ErrDamaged, i, e.record, size, free)
		}
		free, start = e.record+uint64(r.record), e.end
		if err = visit(e); err != nil {
			err = fmt.Errorf("function %d: %w", i, err)
		}
	}
	return err
}

// field reads field n of a record.
func (r *reader) field(record []byte, n int) uint32 {
	return binary.LittleEndian.Uint32(record[r.word+4*n:])
}

// Fields of a record: internal/abi/symtab.go and runtime/runtime2.go, Go 1.26.
const (
	fieldName   = 0
	fieldFrame  = 3 // pc table of frame sizes
	fieldFile   = 4
	fieldLine   = 5
	fieldTables = 6 // how many pc tables the list behind the record has
	fieldUnit   = 7
)
