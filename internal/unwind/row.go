// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import "math"

// row is the state that the instructions of a frame change (DWARF 5 section
// 6.4.1): how the CFA is computed and where the registers are that are followed.
type row struct {
	cfa        cfa
	sp, fp, ra column
}

// cfa is a register and an offset, or an expression once one is given.
type cfa struct {
	register   uint64
	offset     int64
	expression CFA // CFANoInfo: none
	operand    int32
	defined    bool
}

// column is where a register is saved.
type column struct {
	how    how
	offset int32
}

type how uint8

const (
	unset     how = iota // nothing was said
	undefined            // lost
	same                 // not changed
	atCFA                // in memory at an offset from the CFA
	atSP
	atFP
	isCFA     // it is an offset from the CFA
	elsewhere // anything else
)

// unfit is an offset beyond what a rule can hold.
const unfit = math.MinInt64

// at is a column whose offset fits, or is elsewhere.
func at(h how, offset int64) column {
	if offset != int64(int32(offset)) {
		return column{how: elsewhere}
	}
	return column{h, int32(offset)}
}

// scaled is n in units of factor.
func scaled(n, factor int64) int64 {
	if n == 0 || factor == 0 {
		return 0
	}
	if p := n * factor; p/n == factor {
		return p
	}
	return unfit
}

// unsigned is n as an offset.
func unsigned(n uint64) int64 {
	if n > math.MaxInt64 {
		return unfit
	}
	return int64(n)
}

// rule is what the row says in the terms of a Rule. ra is the column of the
// return address.
func (r *row) rule(regs registers, ra uint64, signal bool) Rule {
	out := Rule{CFA: CFAUnsupported, Signal: signal}
	out.RA, out.RAOffset = r.returnAddress(regs, ra)
	kind, offset := r.cfa.kind(regs)
	if kind == CFAUnsupported || !r.spIsCFA(kind, offset) {
		if out.RA != Undefined {
			out.RA, out.RAOffset = Unknown, 0
		}
		return out
	}
	out.CFA, out.CFAOffset = kind, offset
	out.FP, out.FPOffset = r.framePointer()
	return out
}

func (c *cfa) kind(regs registers) (CFA, int32) {
	switch {
	case c.expression != CFANoInfo:
		return c.expression, c.operand
	case !c.defined || c.offset != int64(int32(c.offset)):
	case c.register == regs.sp:
		return CFASP, int32(c.offset)
	case c.register == regs.fp:
		return CFAFP, int32(c.offset)
	}
	return CFAUnsupported, 0
}

// spIsCFA says whether the caller's stack pointer is the CFA, as rules take for
// granted. Unless something else is said it is; Go's toolchain and glibc's signal
// return say the same in other words.
func (r *row) spIsCFA(kind CFA, offset int32) bool {
	switch r.sp.how {
	case unset, same, undefined:
		return true
	case isCFA:
		return r.sp.offset == 0
	case atSP:
		return kind == CFADerefSP && offset == r.sp.offset
	case atFP:
		return kind == CFADerefFP && offset == r.sp.offset
	}
	return false
}

func (r *row) framePointer() (Place, int32) {
	switch r.fp.how {
	case unset, same: // callee-saved in both ABIs
		return Same, 0
	}
	return r.fp.place()
}

func (r *row) returnAddress(regs registers, ra uint64) (Place, int32) {
	switch r.ra.how {
	case undefined:
		return Undefined, 0
	case unset, same:
		if regs.hasLR && ra == regs.lr {
			return InLR, 0
		}
		return Unknown, 0
	}
	return r.ra.place()
}

// place is where in memory the register is.
func (c column) place() (Place, int32) {
	switch c.how {
	case atCFA:
		return AtCFA, c.offset
	case atSP:
		return AtSP, c.offset
	case atFP:
		return AtFP, c.offset
	}
	return Unknown, 0
}
