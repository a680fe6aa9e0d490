// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import "fmt"

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
)

// Spans calls visit for the frames of all functions, by ascending address, until it
// returns an error. Code that the line table says nothing of is left out. Time is in
// proportion to the table: functions share pc tables, but not long ones.
func Spans(in Input, visit func(Span) error) error {
	r, err := open(in)
	if err != nil {
		return err
	}
	pcs, err := r.pcs.view(0, r.pcs.size)
	if err != nil {
		return err
	}
	steps := in.Size
	return r.each(0, r.funcs, func(e entry) error {
		record, err := r.records.view(e.record, uint64(r.record))
		if err != nil {
			return err
		}
		off, flags := r.field(record, fieldFrame), record[len(record)-flagsFromEnd]
		if off == 0 || uint64(off) >= uint64(len(pcs)) {
			return nil
		}
		return r.spans(e, flags, pcs[off:], &steps, visit)
	})
}

// spans visits those of one function, whose pc table b begins with. It takes what it reads
// from steps.
func (r *reader) spans(e entry, flags byte, b []byte, steps *uint64, visit func(Span) error) error {
	at, size := uint64(e.start), int32(-1)
	for first := true; at < uint64(e.end); first = false {
		d, n := varint(b)
		if n == 0 || d == 0 && !first {
			break
		}
		if *steps == 0 {
			return fmt.Errorf("%w: frames of functions share pc tables too much", ErrTooLarge)
		}
		*steps--
		units, m := varint(b[n:])
		if m == 0 {
			break
		}
		b, size = b[n+m:], size+unzigzag(d)
		to := min(at+uint64(units)*uint64(r.quantum), uint64(e.end))
		if to > at && size >= 0 {
			span := Span{Start: r.start + at, End: r.start + to, Size: size, Top: flags&flagTop != 0, Moves: flags&flagMoves != 0}
			if err := visit(span); err != nil {
				return err
			}
		}
		at = to
	}
	return nil
}
