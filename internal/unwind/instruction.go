// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import "fmt"

// Call frame instructions (DWARF 5 section 7.24, LSB 5.0, Core, section 10.5.2,
// and DWARF for the Arm 64-bit Architecture, section 4.4). The first three have
// their operand in the low six bits.
const (
	cfaAdvanceLoc          = 1
	cfaOffset              = 2
	cfaRestore             = 3
	cfaNop                 = 0x00
	cfaSetLoc              = 0x01
	cfaAdvanceLoc1         = 0x02
	cfaAdvanceLoc2         = 0x03
	cfaAdvanceLoc4         = 0x04
	cfaOffsetExtended      = 0x05
	cfaRestoreExtended     = 0x06
	cfaUndefined           = 0x07
	cfaSameValue           = 0x08
	cfaRegister            = 0x09
	cfaRememberState       = 0x0a
	cfaRestoreState        = 0x0b
	cfaDefCFA              = 0x0c
	cfaDefCFARegister      = 0x0d
	cfaDefCFAOffset        = 0x0e
	cfaDefCFAExpression    = 0x0f
	cfaExpression          = 0x10
	cfaOffsetExtendedSF    = 0x11
	cfaDefCFASF            = 0x12
	cfaDefCFAOffsetSF      = 0x13
	cfaValOffset           = 0x14
	cfaValOffsetSF         = 0x15
	cfaValExpression       = 0x16
	cfaNegateRAStateWithPC = 0x2c // of arm64
	cfaNegateRAState       = 0x2d // of arm64
	cfaGNUArgsSize         = 0x2e
	cfaGNUNegativeOffset   = 0x2f
)

// step executes one instruction.
func (m *machine) step(c *cursor, op byte) {
	switch low := uint64(op & 0x3f); op >> 6 {
	case cfaAdvanceLoc:
		m.advance(c, low)
	case cfaOffset:
		m.set(low, at(atCFA, m.data(unsigned(c.uleb()))))
	case cfaRestore:
		m.restore(low)
	default:
		if !m.moves(c, op) && !m.saves(c, op) && !m.definesCFA(c, op) {
			c.fail(fmt.Errorf("%w: instruction %#x", ErrDamaged, op))
		}
	}
}

// moves executes the instructions that change the address or the whole state.
func (m *machine) moves(c *cursor, op byte) bool {
	switch op {
	case cfaNop:
	case cfaSetLoc:
		m.setLoc(c)
	case cfaAdvanceLoc1:
		m.advance(c, uint64(c.u8()))
	case cfaAdvanceLoc2:
		m.advance(c, uint64(c.u16()))
	case cfaAdvanceLoc4:
		m.advance(c, uint64(c.u32()))
	case cfaRememberState:
		m.remember(c)
	case cfaRestoreState:
		m.recall(c)
	case cfaGNUArgsSize: // what a call pushed; the CFA says so anyway
		c.uleb()
	case cfaNegateRAState, cfaNegateRAStateWithPC: // a signature, which Step strips
		return m.regs.hasLR
	default:
		return false
	}
	return true
}

// saves executes the instructions that say where a register is.
func (m *machine) saves(c *cursor, op byte) bool {
	switch op {
	case cfaOffsetExtended:
		m.set(c.uleb(), at(atCFA, m.data(unsigned(c.uleb()))))
	case cfaOffsetExtendedSF:
		m.set(c.uleb(), at(atCFA, m.data(c.sleb())))
	case cfaGNUNegativeOffset:
		m.set(c.uleb(), at(atCFA, m.data(-unsigned(c.uleb()))))
	case cfaValOffset:
		m.set(c.uleb(), at(isCFA, m.data(unsigned(c.uleb()))))
	case cfaValOffsetSF:
		m.set(c.uleb(), at(isCFA, m.data(c.sleb())))
	case cfaRestoreExtended:
		m.restore(c.uleb())
	case cfaUndefined:
		m.set(c.uleb(), column{how: undefined})
	case cfaSameValue:
		m.set(c.uleb(), column{how: same})
	case cfaRegister:
		m.set(c.uleb(), column{how: elsewhere})
		c.uleb()
	case cfaExpression:
		m.set(c.uleb(), m.regs.columnOf(c.take(c.uleb())))
	case cfaValExpression:
		m.set(c.uleb(), column{how: elsewhere})
		c.take(c.uleb())
	default:
		return false
	}
	return true
}

// definesCFA executes the instructions that say how the CFA is computed.
func (m *machine) definesCFA(c *cursor, op byte) bool {
	switch op {
	case cfaDefCFA:
		m.row.cfa = cfa{register: c.uleb(), offset: unsigned(c.uleb()), defined: true}
	case cfaDefCFASF:
		m.row.cfa = cfa{register: c.uleb(), offset: m.data(c.sleb()), defined: true}
	case cfaDefCFARegister: // keeps the offset, even that of before an expression
		m.row.cfa = cfa{register: c.uleb(), offset: m.row.cfa.offset, defined: true}
	case cfaDefCFAOffset:
		m.row.cfa.offset = unsigned(c.uleb())
	case cfaDefCFAOffsetSF:
		m.row.cfa.offset = m.data(c.sleb())
	case cfaDefCFAExpression:
		m.row.cfa.expression, m.row.cfa.operand = m.regs.cfaOf(c.take(c.uleb()))
	default:
		return false
	}
	return true
}
