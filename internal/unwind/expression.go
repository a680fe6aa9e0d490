// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import "bytes"

// Operations of DWARF expressions (DWARF 5 section 7.7.1).
const (
	opDeref      = 0x06
	opAnd        = 0x1a
	opPlus       = 0x22
	opPlusUconst = 0x23
	opShl        = 0x24
	opGe         = 0x2a
	opLit0       = 0x30
	opBreg0      = 0x70
)

// What follows the address in an expression of memory: the CFA is there, or 8
// below it is (OpenSSL, crypto/perlasm/x86_64-xlate.pl, cfa_expression).
var (
	deref  = []byte{opDeref}
	deref8 = []byte{opDeref, opPlusUconst, 8}
)

// plt is the linker's description of the CFA in a procedure linkage table, around
// the literal in its middle (binutils, bfd/elfxx-x86.c and elf64-x86-64.c,
// elf_x86_64_eh_frame_plt): rsp+8 + ((rip & 15) >= literal) << 3.
var (
	pltBefore = []byte{opBreg0 + 7, 8, opBreg0 + 16, 0, opLit0 + 15, opAnd}
	pltBehind = []byte{opGe, opLit0 + 3, opShl, opPlus}
)

// cfaOf recognises the expressions of CFAs that rules can say.
func (r registers) cfaOf(expression []byte) (CFA, int32) {
	if literal, ok := pltLiteral(expression); ok && r.sp == 7 {
		return CFAPLT, literal
	}
	base, offset, rest := r.memory(expression)
	column := at(base, offset)
	switch {
	case column.how == atSP && bytes.Equal(rest, deref):
		return CFADerefSP, column.offset
	case column.how == atFP && bytes.Equal(rest, deref):
		return CFADerefFP, column.offset
	case column.how == atSP && bytes.Equal(rest, deref8):
		return CFADerefSP8, column.offset
	case column.how == atFP && bytes.Equal(rest, deref8):
		return CFADerefFP8, column.offset
	}
	return CFAUnsupported, 0
}

func pltLiteral(expression []byte) (int32, bool) {
	rest, ok := bytes.CutPrefix(expression, pltBefore)
	if !ok {
		return 0, false
	}
	literal, ok := bytes.CutSuffix(rest, pltBehind)
	if !ok || len(literal) != 1 || literal[0] < opLit0 || literal[0] >= opLit0+16 {
		return 0, false
	}
	return int32(literal[0] - opLit0), true
}

// columnOf recognises the expressions of saved registers that rules can say.
func (r registers) columnOf(expression []byte) column {
	base, offset, rest := r.memory(expression)
	if len(rest) != 0 {
		return column{how: elsewhere}
	}
	return at(base, offset)
}

// memory reads an operation that adds an offset to SP or FP, and returns what
// follows it.
func (r registers) memory(expression []byte) (base how, offset int64, rest []byte) {
	c := cursor{data: expression}
	op := uint64(c.u8()) - opBreg0
	offset = c.sleb()
	rest = expression[c.at:]
	switch {
	case c.err != nil:
	case op == r.sp:
		return atSP, offset, rest
	case op == r.fp:
		return atFP, offset, rest
	}
	return elsewhere, 0, rest
}
