// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"fmt"
	"math/bits"
)

// maxRemembered bounds the states that an FDE can put aside. Compilers nest two.
const maxRemembered = 64

// machine runs the instructions of CIEs and FDEs.
type machine struct {
	regs registers
	rows *rows

	cie        *cie
	row        row
	remembered []row
	// The row holds from loc on. What it says of addresses below from is not
	// wanted, and end is where the FDE ends.
	loc, from, end uint64
}

// runCIE executes the instructions of a CIE and returns the row that they leave.
// It has no addresses, so what advances them does nothing.
func (m *machine) runCIE(e *cie, c *cursor) row {
	m.cie, m.row, m.remembered = e, row{}, m.remembered[:0]
	m.loc, m.from, m.end = 0, 0, 0
	m.run(c)
	return m.row
}

// runFDE executes the instructions of an FDE, and adds rows for its addresses
// from from on.
func (m *machine) runFDE(e *cie, f fde, from uint64, c *cursor) error {
	m.cie, m.row, m.remembered = e, e.initial, m.remembered[:0]
	m.loc, m.from, m.end = f.start, from, f.end
	m.run(c)
	if c.err == nil {
		m.move(c, m.end)
	}
	return c.err
}

func (m *machine) run(c *cursor) {
	for c.more() {
		m.step(c, c.u8())
	}
}

// move ends the row at loc.
func (m *machine) move(c *cursor, loc uint64) {
	loc = min(loc, m.end)
	if loc == m.loc || c.err != nil {
		return
	}
	if loc > m.from {
		rule := m.row.rule(m.regs, m.cie.ra, m.cie.signal)
		if err := m.rows.add(max(m.loc, m.from), rule); err != nil {
			c.fail(err)
		}
	}
	m.loc = loc
	if loc == m.end { // the rest is of addresses behind the FDE
		c.at = len(c.data)
	}
}

func (m *machine) advance(c *cursor, delta uint64) {
	high, n := bits.Mul64(delta, m.cie.codeAlign)
	if high != 0 {
		n = m.end
	}
	m.move(c, m.loc+min(n, m.end-m.loc))
}

func (m *machine) setLoc(c *cursor) {
	loc := c.pointer(m.cie.encoding)
	if loc < m.loc {
		c.fail(fmt.Errorf("%w: it goes back to address %#x", ErrDamaged, loc))
	}
	m.move(c, loc)
}

func (m *machine) remember(c *cursor) {
	if len(m.remembered) == maxRemembered {
		c.fail(fmt.Errorf("%w: more than %d states remembered", ErrTooLarge, maxRemembered))
		return
	}
	m.remembered = append(m.remembered, m.row)
}

func (m *machine) recall(c *cursor) {
	last := len(m.remembered) - 1
	if last < 0 {
		c.fail(fmt.Errorf("%w: no state to restore", ErrDamaged))
		return
	}
	m.row = m.remembered[last]
	m.remembered = m.remembered[:last]
}

// set changes the column of a register, if it is followed.
func (m *machine) set(register uint64, to column) {
	switch register {
	case m.cie.ra:
		m.row.ra = to
	case m.regs.fp:
		m.row.fp = to
	case m.regs.sp:
		m.row.sp = to
	}
}

// restore gives a register what the CIE says.
func (m *machine) restore(register uint64) {
	switch initial := &m.cie.initial; register {
	case m.cie.ra:
		m.row.ra = initial.ra
	case m.regs.fp:
		m.row.fp = initial.fp
	case m.regs.sp:
		m.row.sp = initial.sp
	}
}

// data is n in units of the data alignment factor.
func (m *machine) data(n int64) int64 {
	return scaled(n, m.cie.dataAlign)
}
