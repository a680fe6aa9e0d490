// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/gosymbol"
)

// maxCode bounds the executable segments. Files have one or two.
const maxCode = 64

var errFar = fmt.Errorf("%w: more than 4 GiB of code", ErrTooLarge)

// builder makes a table.
type builder struct {
	r          io.ReaderAt
	table      *Table
	code       []elffile.Segment
	machine    machine
	dictionary dictionary
}

// executable selects the segments that hold code, by their size in memory: in a
// file of debugging information they have none in the file.
func executable(segments []elffile.Segment) ([]elffile.Segment, error) {
	var code []elffile.Segment
	for _, s := range segments {
		if s.Type != elf.PT_LOAD || s.Flags&elf.PF_X == 0 || s.Addr+s.Memsz < s.Addr {
			continue
		}
		if len(code) == maxCode {
			return nil, fmt.Errorf("%w: more than %d executable segments", ErrTooLarge, maxCode)
		}
		code = append(code, s)
	}
	return code, nil
}

// damage counts a description that is left out.
func (b *builder) damage(err error) {
	b.table.Damaged++
	if b.table.Cause == nil {
		b.table.Cause = err
	}
}

// damageAt counts a description, and says where it is if it is the first.
func (b *builder) damageAt(s *section, what string, at uint64, err error) {
	if b.table.Cause == nil {
		err = fmt.Errorf("%s, %s %#x: %w", s.name, what, at, err)
	}
	b.damage(err)
}

// build compiles both sections into the table, with what else tells of frames.
func (b *builder) build(eh, debug *section, golang *gosymbol.Input) error {
	over, under := b.list(eh), b.list(debug)
	b.table.Base = b.lowest()
	first, err := b.compile(&over)
	if err != nil {
		return err
	}
	second, err := b.compile(&under)
	if err != nil {
		return err
	}
	between, err := b.goRows(golang)
	if err != nil {
		b.damage(err)
	}
	returns, err := b.signalReturns(first)
	if err != nil {
		b.damage(err)
	}
	b.table.Rows = overlay(first, overlay(returns, overlay(between, second)))
	b.table.Rules = b.dictionary.rules
	if len(b.table.Rows) == 0 {
		return errors.Join(ErrNoFrames, b.table.Cause)
	}
	return nil
}

// lowest is the first address of code.
func (b *builder) lowest() uint64 {
	lowest := uint64(math.MaxUint64)
	for _, s := range b.code {
		lowest = min(lowest, s.Addr)
	}
	return lowest
}

// compile returns the rows of one section. Where FDEs overlap, the first one by
// address wins.
func (b *builder) compile(l *entries) ([]Row, error) {
	const usual, most = 8, 1 << 20 // rows of a function, and those that memory is reserved for
	out := rows{dictionary: &b.dictionary, base: b.table.Base, all: make([]Row, 0, min(usual*len(l.fdes), most))}
	b.machine.rows = &out
	for _, f := range l.fdes {
		start := max(f.start, out.end)
		if start >= f.end {
			continue
		}
		before := len(out.all)
		out.gap(start)
		if err := b.compileFDE(l, f, start); errors.Is(err, errRows) {
			return nil, err
		} else if err != nil {
			out.all = out.all[:before]
			b.damageAt(l.section, "FDE of", f.start, err)
			continue
		}
		out.end = f.end
		b.table.Functions++
	}
	out.gap(math.MaxUint64)
	return out.all, nil
}

// compileFDE adds the rows of an FDE from the address from on.
func (b *builder) compileFDE(l *entries, f fde, from uint64) error {
	if f.end-b.table.Base > math.MaxUint32 {
		return errFar
	}
	e := &l.cies[f.cie]
	c := cursor{data: l.data[:f.to], at: int(f.from), addr: l.addr}
	return b.machine.runFDE(e, f, from, &c)
}
