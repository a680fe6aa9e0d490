// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

const (
	// maxProgram bounds the line program of a unit, maxRows what it makes.
	maxProgram = 64 << 20
	maxRows    = 4 << 20
)

// row says where the code from an address on comes from. Without a line, nowhere.
type row struct {
	addr uint64
	file uint32 // in the text
	line uint32
}

// lineProgram is the header of a line program (DWARF 5, 6.2.4).
type lineProgram struct {
	code       cursor
	version    uint16
	minLength  uint64
	lineBase   int64
	lineRange  uint8
	opcodeBase uint8
	lengths    []byte
}

// readLines runs the line program of the unit.
func (b *builder) readLines() error {
	u := b.unit
	dir, err := u.text(u.dir)
	if err != nil {
		return err
	}
	b.files = files{directory: string(dir[:min(len(dir), maxText)]), known: map[uint64]uint32{}}
	s := u.debug.line
	if s == nil || !u.line.there() {
		return nil
	}
	head, err := s.rest(u.line.n, 12)
	if err != nil {
		return err
	}
	c := cursor{b: head}
	n, word := c.length()
	if c.short || n > maxProgram {
		return fmt.Errorf("%w: a line program of %d bytes, at most %d are read", ErrTooLarge, n, maxProgram)
	}
	content, err := s.copy(u.line.n+uint64(len(head)-len(c.b)), n)
	if err != nil {
		return err
	}
	p, err := b.lineHeader(cursor{b: content}, word)
	if err != nil {
		return err
	}
	return b.run(p)
}

func (b *builder) lineHeader(c cursor, word int) (p lineProgram, err error) {
	p.version = c.u16()
	if p.version < 2 || p.version > 5 {
		return p, fmt.Errorf("%w: version %d of a line program", ErrUnsupported, p.version)
	}
	if p.version >= 5 && (c.u8() != addressSize || c.u8() != 0) {
		return p, fmt.Errorf("%w: addresses of a line program", ErrUnsupported)
	}
	size := c.word(word)
	if size > uint64(len(c.b)) {
		return p, fmt.Errorf("%w: header of a line program", ErrDamaged)
	}
	p.code = cursor{b: c.b[size:]}
	c.b = c.b[:size]
	p.minLength = uint64(c.u8())
	if p.version >= 4 {
		c.u8() // operations per instruction, of VLIW machines
	}
	c.u8() // whether rows are statements at first
	p.lineBase, p.lineRange, p.opcodeBase = int64(int8(c.u8())), c.u8(), c.u8()
	if p.opcodeBase > 0 {
		p.lengths = c.take(uint64(p.opcodeBase - 1))
	}
	if c.short || p.lineRange == 0 || p.opcodeBase == 0 {
		return p, fmt.Errorf("%w: header of a line program", ErrDamaged)
	}
	own := *b.unit
	own.word = word
	b.files.unit = &own
	if p.version >= 5 {
		return p, b.files.read(&c)
	}
	return p, b.files.readOld(&c)
}

// Opcodes (DWARF 5, 7.22).
const (
	lnsExtended       = 0
	lnsCopy           = 1
	lnsAdvancePC      = 2
	lnsAdvanceLine    = 3
	lnsSetFile        = 4
	lnsConstAddPC     = 8
	lnsFixedAdvancePC = 9

	lneEndSequence = 1
	lneSetAddress  = 2
)

// machine is the state of a line program that runs.
type machine struct {
	addr, file uint64
	line       int64
}

// run runs a line program. A sequence of rows counts if it ends, and is about code that
// the linker left in.
func (b *builder) run(p lineProgram) error {
	m, start := machine{file: 1, line: 1}, len(b.rows)
	for c := &p.code; len(c.b) > 0; {
		var emit, end bool
		switch op := c.u8(); {
		case op >= p.opcodeBase:
			op -= p.opcodeBase
			m.addr += uint64(op/p.lineRange) * p.minLength
			m.line += p.lineBase + int64(op%p.lineRange)
			emit = true
		case op == lnsExtended:
			end = m.extended(c)
			emit = end
		case op == lnsCopy:
			emit = true
		case op == lnsAdvancePC:
			m.addr += c.uleb() * p.minLength
		case op == lnsAdvanceLine:
			m.line += c.sleb()
		case op == lnsSetFile:
			m.file = c.uleb()
		case op == lnsConstAddPC:
			m.addr += uint64((255-p.opcodeBase)/p.lineRange) * p.minLength
		case op == lnsFixedAdvancePC:
			m.addr += uint64(c.u16())
		default:
			for range p.lengths[op-1] {
				c.uleb()
			}
		}
		if c.short {
			return fmt.Errorf("%w: a line program ends within an operation", ErrDamaged)
		}
		if !emit {
			continue
		}
		if len(b.rows) >= maxRows {
			return fmt.Errorf("%w: more than %d lines", ErrTooLarge, maxRows)
		}
		r := row{addr: m.addr}
		if !end && m.line >= 0 && m.line <= math.MaxInt32 {
			var err error
			if r.file, err = b.file(m.file); err != nil {
				return err
			}
			r.line = uint32(m.line)
		}
		b.rows = append(b.rows, r)
		if end {
			if !b.debug().keeps(extent{b.rows[start].addr, m.addr}) {
				b.rows = b.rows[:start]
			}
			m, start = machine{file: 1, line: 1}, len(b.rows)
		}
	}
	b.rows = b.rows[:start]
	b.sortRows()
	return nil
}

// extended does an operation of the extended set; end: it ends the sequence.
func (m *machine) extended(c *cursor) (end bool) {
	op := cursor{b: c.take(c.uleb())}
	switch op.u8() {
	case lneEndSequence:
		return true
	case lneSetAddress:
		m.addr = op.u64()
	}
	return false
}

// sortRows brings the rows into the order of their addresses. Of rows at one address
// the last counts, but the end of a sequence gives way to the start of another.
func (b *builder) sortRows() {
	slices.SortStableFunc(b.rows, func(x, y row) int {
		return cmp.Or(cmp.Compare(x.addr, y.addr), -boolCompare(x.ends(), y.ends()))
	})
	out := b.rows[:0]
	for _, r := range b.rows {
		n := len(out)
		switch {
		case n > 0 && out[n-1].addr == r.addr:
			out[n-1] = r
		case n > 0 && out[n-1].file == r.file && out[n-1].line == r.line:
			continue
		default:
			out = append(out, r)
			continue
		}
		if n > 1 && out[n-2].file == out[n-1].file && out[n-2].line == out[n-1].line {
			out = out[:n-1]
		}
	}
	b.rows = out
}

// ends says whether no code is at the row.
func (r row) ends() bool { return r.file == 0 && r.line == 0 }

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
