// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

const (
	// maxCopied bounds the bytes that are copied to a Table.
	maxCopied = 16 << 20
	// pcGuess is how long a pc table is at most, as a rule.
	pcGuess = 1 << 10
	// maxRecord is how long a record is at most, with its lists. Those have some ten words.
	maxRecord = 512
	// maxFiles bounds the files of a function; the code of others has no line.
	maxFiles = 4096
)

// builder makes a Table of some functions.
type builder struct {
	*reader
	table *Table
	names []byte
	left  uint64            // bytes that may still be copied
	named map[uint64]uint32 // where in the names a string is, by its window's place and offset
	pcs   map[uint32]copied // by offset
	trees []tree
}

// copied is a pc table that has been copied.
type copied struct {
	at      uint32
	largest int32
}

// table reads n functions from the first on, or as many as there are. Time and memory are
// in proportion to them, and bounded, however hostile the line table is.
//
// Inline trees that cannot be right cost the inlined calls, not the Table: they
// show that GoFunc is not what it is taken for.
func (r *reader) table(first, n uint64) (*Table, error) {
	if first >= r.funcs {
		return nil, fmt.Errorf("%w: function %d of %d", ErrDamaged, first, r.funcs)
	}
	n = min(n, r.funcs-first)
	b := builder{
		reader: r, left: min(r.in.Size, maxCopied), named: map[uint64]uint32{}, pcs: map[uint32]copied{},
		table: &Table{
			text: r.start, quantum: r.quantum, starts: make([]uint32, 0, n+1), funcs: make([]function, 0, n),
			pcs: []byte{0}, // no table is at 0
		},
	}
	err := r.each(first, n, func(e entry) error {
		if len(b.table.starts) == 0 {
			b.table.starts = append(b.table.starts, e.start)
		}
		b.table.starts = append(b.table.starts, e.end)
		return b.function(e)
	})
	if err != nil {
		return nil, err
	}
	if b.table.inlines, err = b.readTrees(); err != nil {
		return nil, err
	}
	b.table.names = string(b.names)
	b.table.files, b.table.pcs = slices.Clip(slices.Clone(b.table.files)), slices.Clip(slices.Clone(b.table.pcs))
	return b.table, nil
}

// spend takes n bytes of what may be copied.
func (b *builder) spend(n int) error {
	if uint64(n) > b.left {
		return fmt.Errorf("%w: functions share more than is usual", ErrTooLarge)
	}
	b.left -= uint64(n)
	return nil
}

// name copies the string at off of a window once and returns where it is now.
func (b *builder) name(of *window, off uint64) (uint32, error) {
	key := of.from + off
	if at, ok := b.named[key]; ok {
		return at, nil
	}
	s, err := of.text(off)
	if err == nil {
		err = b.spend(len(s))
	}
	if err != nil {
		return 0, err
	}
	at := uint32(len(b.names))
	b.names = append(append(b.names, s...), 0)
	b.named[key] = at
	return at, nil
}

// function reads a function. Its record is whole but for its lists.
func (b *builder) function(e entry) error {
	record, err := b.records.rest(e.record, maxRecord)
	if err != nil {
		return err
	}
	name, files, lines, unit := b.field(record, fieldName), b.field(record, fieldFile), b.field(record, fieldLine), b.field(record, fieldUnit)
	f := function{files: uint32(len(b.table.files))}
	if b.startLine != 0 {
		f.startLine = int32(binary.LittleEndian.Uint32(record[b.startLine:]))
	}
	calls, at, err := b.inlined(e, record)
	if err != nil {
		return err
	}
	if uint64(name) >= b.reader.names.size {
		return fmt.Errorf("%w: name at %d of %d", ErrDamaged, name, b.reader.names.size)
	}
	if f.name, err = b.name(&b.reader.names, uint64(name)); err != nil {
		return err
	}
	if f.line, _, err = b.copy(lines); err != nil {
		return err
	}
	if f.file, _, err = b.copy(files); err != nil {
		return err
	}
	if err := b.addFiles(f.file, uint64(unit)); err != nil {
		return err
	}
	var largest int32
	if f.inlined, largest, err = b.copy(calls); err != nil {
		return err
	}
	if largest >= 0 && at != noData {
		b.trees = append(b.trees, tree{len(b.table.funcs), at, uint64(largest) + 1})
	}
	b.table.funcs = append(b.table.funcs, f)
	return nil
}

// inlined reads from the lists of a record where the pc table of inlined calls is, 0 if there
// are none, and where their tree is, noData if there is none.
func (b *builder) inlined(e entry, record []byte) (calls uint32, at uint64, err error) {
	le, lists := binary.LittleEndian, record[b.record:]
	tables, data := uint64(b.field(record, fieldTables)), uint64(record[b.record-1])
	if tables <= pcInlined || data <= dataInlineTree {
		return 0, noData, nil
	}
	off := 4 * tables
	if b.word == pointerSize { // pointers are aligned
		off += (b.in.Address + b.parts[4] + e.record + uint64(b.record) + off) & 4
	}
	off += dataInlineTree * uint64(b.word)
	if off+uint64(b.word) > uint64(len(lists)) {
		return 0, 0, fmt.Errorf("%w: %d pc tables", ErrDamaged, tables)
	}
	if calls = le.Uint32(lists[4*pcInlined:]); b.word == pointerSize {
		return calls, le.Uint64(lists[off:]), nil
	}
	return calls, uint64(le.Uint32(lists[off:])), nil
}

// addFiles names the files of a function, of which the pc table at off has the numbers. In
// the file their names are listed by compilation unit.
func (b *builder) addFiles(off uint32, unit uint64) error {
	if off == 0 {
		return nil
	}
	t := b.table
	first := len(t.files)
	for n := range values(t.pcs[off:]) {
		i, found := slices.BinarySearchFunc(t.files[first:], n, func(f file, n int32) int { return cmp.Compare(f.number, n) })
		if found || n < 0 || len(t.files)-first == maxFiles {
			continue
		}
		at, err := b.units.rest(4*(unit+uint64(n)), 4)
		if err != nil || len(at) < 4 {
			continue // no file: no line
		}
		name := binary.LittleEndian.Uint32(at)
		if uint64(name) >= b.files.size {
			continue
		}
		where, err := b.name(&b.files, uint64(name))
		if err != nil {
			return err
		}
		t.files = slices.Insert(t.files, first+i, file{n, where})
	}
	return nil
}

// copy copies the pc table at off once and returns where it is now.
func (b *builder) copy(off uint32) (at uint32, largest int32, err error) {
	if off == 0 {
		return 0, -1, nil
	}
	if c, ok := b.pcs[off]; ok {
		return c.at, c.largest, nil
	}
	for n := uint64(pcGuess); ; n *= 4 {
		p, err := b.reader.pcs.rest(uint64(off), n)
		if err != nil {
			return 0, 0, err
		}
		size, largest, err := measure(p)
		switch {
		case err == nil:
			at = uint32(len(b.table.pcs))
			b.table.pcs = append(b.table.pcs, p[:size]...)
			b.pcs[off] = copied{at, largest}
			return at, largest, b.spend(size)
		case errors.Is(err, ErrTooLarge):
			return 0, 0, fmt.Errorf("pc table at %d: %w", off, err)
		case uint64(len(p)) < n || n > maxCopied:
			return 0, 0, fmt.Errorf("%w: pc table at %d does not end", ErrDamaged, off)
		}
	}
}
