// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// What can be wrong with a file. Errors of Locate and Read wrap one of these, or
// are I/O errors.
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

// maxTable bounds the line table and the memory that holds inline trees, each.
// The section of a large Go program has some 60 MiB.
const maxTable = 256 << 20

// Input is a line table and what else Read takes of the program.
type Input struct {
	// Table is runtime.pclntab. It may be followed by other bytes, up to 256 MiB
	// in all. Read keeps nothing of it.
	Table []byte
	// Address is where Table is in the program's memory.
	Address uint64
	// Text is the address of runtime.text, 0 if it is not known. Then the one in
	// the header of the table is used, if there is one.
	Text uint64
	// GoFunc is the address of go:func.*, 0 if it is not known.
	GoFunc uint64
	// Memory returns the n bytes that are at addr when the program starts, if it
	// has them; n is at most 256 MiB. It is called at most once, for inline trees
	// that are not in Table, and may be nil.
	Memory func(addr, n uint64) ([]byte, bool)
}

// Read reads a line table. Time and memory are in proportion to it however
// hostile it is.
//
// Inline trees that cannot be right cost the inlined calls, not the Table: they
// show that GoFunc is not what it is taken for.
func Read(in Input) (*Table, error) {
	if len(in.Table) > maxTable {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrTooLarge, len(in.Table), maxTable)
	}
	h, err := parseHeader(in.Table, uint64(len(in.Table)))
	if err != nil {
		return nil, err
	}
	part := func(i int) []byte { return in.Table[h.parts[i]:h.parts[i+1]] }
	r := reader{
		header: h, in: in,
		pcs: part(3), records: in.Table[h.parts[4]:],
		copied: make(map[uint32]copied),
		table: &Table{
			quantum: h.quantum,
			names:   string(part(0)), units: words(part(1)), files: string(part(2)),
			starts: make([]uint32, h.funcs+1), funcs: make([]function, h.funcs),
			pcs: []byte{0}, // no table is at 0
		},
	}
	if err := r.setText(); err != nil {
		return nil, err
	}
	if err := r.readFunctions(); err != nil {
		return nil, err
	}
	r.table.inlines = r.readTrees()
	r.table.pcs = slices.Clone(r.table.pcs) // without room to grow
	return r.table, nil
}

func words(b []byte) []uint32 {
	out := make([]uint32, len(b)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return out
}

// reader is a line table while it is being read.
type reader struct {
	header
	in           Input
	pcs, records []byte
	copied       map[uint32]copied // by offset in pcs
	trees        []tree
	table        *Table
}

// copied is a pc table that has been copied.
type copied struct {
	at      uint32
	largest int32
}

// setText finds what starts are relative to.
func (r *reader) setText() error {
	switch {
	case r.word == pointerSize:
		r.table.text = binary.LittleEndian.Uint64(r.records)
	case r.in.Text != 0:
		r.table.text = r.in.Text
	default:
		r.table.text = r.text
	}
	if r.table.text == 0 {
		return ErrText
	}
	return nil
}

// start reads the address of function i from the index, relative to the text.
func (r *reader) start(i uint64) (uint32, error) {
	b := r.records[2*i*uint64(r.word):]
	if r.word == 4 {
		return binary.LittleEndian.Uint32(b), nil
	}
	addr := binary.LittleEndian.Uint64(b)
	if addr < r.table.text || addr-r.table.text > math.MaxUint32 {
		return 0, fmt.Errorf("%w: function %d at %#x, the first at %#x", ErrDamaged, i, addr, r.table.text)
	}
	return uint32(addr - r.table.text), nil
}

// readFunctions reads the index and the records. Records are in the order of
// functions and do not overlap, so that the Table is not larger than they are.
func (r *reader) readFunctions() error {
	t := r.table
	free := (2*r.funcs + 1) * uint64(r.word) // records are behind the index
	for i := range r.funcs + 1 {
		start, err := r.start(i)
		if err != nil {
			return err
		}
		if t.starts[i] = start; i > 0 && start < t.starts[i-1] {
			return fmt.Errorf("%w: function %d at %#x, the one before at %#x", ErrDamaged, i, start, t.starts[i-1])
		}
		if i == r.funcs {
			break
		}
		at := r.records[(2*i+1)*uint64(r.word):]
		off := uint64(binary.LittleEndian.Uint32(at))
		if r.word == 8 {
			off = binary.LittleEndian.Uint64(at)
		}
		size := uint64(len(r.records))
		if off < free || off > size || size-off < uint64(r.record) {
			return fmt.Errorf("%w: record %d at %d, %d are free from %d", ErrDamaged, i, off, size, free)
		}
		if err := r.readFunction(int(i), off); err != nil {
			return fmt.Errorf("function %d: %w", i, err)
		}
		free = off + uint64(r.record)
	}
	return nil
}

// readFunction reads the record at off, which is whole but for its lists.
func (r *reader) readFunction(i int, off uint64) error {
	rec := r.records[off : off+uint64(r.record)]
	le, f := binary.LittleEndian, &r.table.funcs[i]
	field := func(n int) uint32 { return le.Uint32(rec[r.word+4*n:]) }
	f.name, f.unit = field(0), field(7)
	if uint64(f.name) >= uint64(len(r.table.names)) {
		return fmt.Errorf("%w: name at %d of %d", ErrDamaged, f.name, len(r.table.names))
	}
	if r.startLine != 0 {
		f.startLine = int32(le.Uint32(rec[r.startLine:]))
	}
	var err error
	if f.file, _, err = r.copy(field(4)); err != nil {
		return err
	}
	if f.line, _, err = r.copy(field(5)); err != nil {
		return err
	}
	tables, data := uint64(field(6)), uint64(rec[r.record-1])
	if tables <= pcInlined || data <= dataInlineTree {
		return nil
	}
	lists := r.records[off+uint64(r.record):]
	at := 4 * tables
	if r.word == pointerSize { // pointers are aligned
		at += (r.in.Address + r.parts[4] + off + uint64(r.record) + at) & 4
	}
	at += dataInlineTree * uint64(r.word)
	if at+uint64(r.word) > uint64(len(lists)) {
		return fmt.Errorf("%w: %d pc tables", ErrDamaged, tables)
	}
	var largest int32
	if f.inlined, largest, err = r.copy(le.Uint32(lists[4*pcInlined:])); err != nil || largest < 0 {
		return err
	}
	tr := tree{function: i, calls: uint64(largest) + 1}
	if r.word == pointerSize {
		tr.addr = le.Uint64(lists[at:])
	} else if tr.addr = uint64(le.Uint32(lists[at:])); tr.addr == noData {
		return nil
	}
	r.trees = append(r.trees, tr)
	return nil
}

// copy copies the pc table at off once and returns where it is now. Linkers
// write no tables that overlap.
func (r *reader) copy(off uint32) (at uint32, largest int32, err error) {
	if off == 0 {
		return 0, -1, nil
	}
	if c, ok := r.copied[off]; ok {
		return c.at, c.largest, nil
	}
	if uint64(off) >= uint64(len(r.pcs)) {
		return 0, 0, fmt.Errorf("%w: pc table at %d of %d", ErrDamaged, off, len(r.pcs))
	}
	size, largest, ok := measure(r.pcs[off:])
	if !ok || len(r.table.pcs)+size > len(r.pcs)+1 {
		return 0, 0, fmt.Errorf("%w: pc table at %d does not end", ErrDamaged, off)
	}
	at = uint32(len(r.table.pcs))
	r.table.pcs = append(r.table.pcs, r.pcs[off:int(off)+size]...)
	r.copied[off] = copied{at, largest}
	return at, largest, nil
}
