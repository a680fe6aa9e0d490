// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"encoding/binary"
	"fmt"
)

// Span is code of one function whose frame has one size.
type Span struct {
	// Start and End are addresses as the file has them, End the first one behind.
	Start, End uint64
	// Size is how many bytes lie between the stack pointer and where it was after the
	// call: what the function has pushed.
	Size int32
	// Top: the function has no caller.
	Top bool
	// Moves: the function sets the stack pointer to something else, such as another
	// stack, so Size is not what it says.
	Moves bool
}

// Flags of functions: internal/abi/symtab.go, Go 1.17 to 1.26. The record ends with
// the kind of function, the flags, a byte of padding and a count.
const (
	flagTop, flagMoves = 1, 2
	flagsFromEnd       = 3
	// fieldFrame is the field of the pc table of frame sizes.
	fieldFrame = 3
)

// Spans calls visit for the frames of all functions, by ascending address, until it
// returns an error. Code that the line table says nothing of is left out. Time is in
// proportion to the table: functions share pc tables, but not long ones.
func Spans(in Input, visit func(Span) error) error {
	h, err := parseHeader(in.Table, uint64(len(in.Table)))
	if err != nil {
		return err
	}
	r := reader{header: h, in: in, pcs: in.Table[h.parts[3]:h.parts[4]], records: in.Table[h.parts[4]:], table: &Table{}}
	if err := r.setText(); err != nil {
		return err
	}
	last, steps := uint32(0), len(in.Table)
	for i := range r.funcs {
		start, err := r.start(i)
		if err != nil {
			return err
		}
		end, err := r.start(i + 1)
		if err != nil {
			return err
		}
		if start < last || end < start {
			return fmt.Errorf("%w: function %d at %#x, the one before at %#x", ErrDamaged, i, start, last)
		}
		last = start
		record, err := r.recordOf(i)
		if err != nil {
			return err
		}
		if err := r.spans(record, start, end, &steps, visit); err != nil {
			return err
		}
	}
	return nil
}

// recordOf returns the record of a function, without its lists.
func (r *reader) recordOf(i uint64) ([]byte, error) {
	at := r.records[(2*i+1)*uint64(r.word):]
	off := uint64(binary.LittleEndian.Uint32(at))
	if r.word == pointerSize {
		off = binary.LittleEndian.Uint64(at)
	}
	if size := uint64(len(r.records)); off > size || size-off < uint64(r.record) {
		return nil, fmt.Errorf("%w: record %d at %d of %d", ErrDamaged, i, off, size)
	}
	return r.records[off : off+uint64(r.record)], nil
}

// spans visits those of one function. It takes what it reads from steps.
func (r *reader) spans(record []byte, start, end uint32, steps *int, visit func(Span) error) error {
	off := binary.LittleEndian.Uint32(record[r.word+4*fieldFrame:])
	flags := record[len(record)-flagsFromEnd]
	if off == 0 || uint64(off) >= uint64(len(r.pcs)) {
		return nil
	}
	b, at, size := r.pcs[off:], uint64(start), int32(-1)
	for first := true; at < uint64(end); first = false {
		d, n := varint(b)
		if n == 0 || d == 0 && !first {
			break
		}
		if *steps--; *steps < 0 {
			return fmt.Errorf("%w: frames of functions share pc tables too much", ErrTooLarge)
		}
		units, m := varint(b[n:])
		if m == 0 {
			break
		}
		b, size = b[n+m:], size+unzigzag(d)
		to := min(at+uint64(units)*uint64(r.quantum), uint64(end))
		if to > at && size >= 0 {
			span := Span{Start: r.table.text + at, End: r.table.text + to, Size: size, Top: flags&flagTop != 0, Moves: flags&flagMoves != 0}
			if err := visit(span); err != nil {
				return err
			}
		}
		at = to
	}
	return nil
}
