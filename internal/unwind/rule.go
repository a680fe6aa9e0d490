// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import "unsafe"

// Rule says how to get from a frame to its caller's: what the caller's stack
// pointer is (the canonical frame address, CFA), where its frame pointer is saved
// and where the return address. Rules are comparable. The zero Rule is NoInfo.
type Rule struct {
	// CFA says how the CFA is computed, with CFAOffset.
	CFA CFA
	// FP says where the caller's frame pointer is: Same, or memory at FPOffset
	// from what it names, or Unknown.
	FP Place
	// RA says where the return address is: InLR, or memory at RAOffset from what
	// it names, Unknown, or Undefined at the end of the stack.
	RA Place
	// Signal: the frame is of a signal handler's return. The caller was
	// interrupted, so its address is exact and not the one behind a call.
	Signal bool
	// Switch: the function changes the stack. The caller's may be anywhere, and there is
	// none if FP is zero.
	Switch bool

	CFAOffset, FPOffset, RAOffset int32
}

// ruleSize is what a Rule takes in memory.
const ruleSize = int(unsafe.Sizeof(Rule{}))

// NoInfo is the rule of addresses that the file says nothing of.
var NoInfo Rule

// CFA is a way to compute the canonical frame address. SP and FP are the values
// in the frame itself, not the caller's.
type CFA uint8

const (
	// CFANoInfo: nothing is known.
	CFANoInfo CFA = iota
	// CFAUnsupported: by another register or expression than those below.
	CFAUnsupported
	// CFASP is SP + CFAOffset.
	CFASP
	// CFAFP is FP + CFAOffset.
	CFAFP
	// CFADerefSP is what is at SP + CFAOffset: the return of a signal handler.
	CFADerefSP
	// CFADerefFP is what is at FP + CFAOffset: a function that aligns its stack.
	CFADerefFP
	// CFADerefSP8 is 8 more than what is at SP + CFAOffset, CFADerefFP8 than at
	// FP + CFAOffset: assembly that keeps the stack pointer of its caller.
	CFADerefSP8
	CFADerefFP8
	// CFAPLT is SP + 8, and 8 more if the low four bits of the address are at
	// least CFAOffset: the linker's description of a procedure linkage table,
	// whose entries of 16 bytes have pushed a word from there on.
	CFAPLT
)

// Place is where a register of the caller is.
type Place uint8

const (
	// Unknown: lost, or in a place that rules do not name.
	Unknown Place = iota
	// Same: in the register itself.
	Same
	// AtCFA, AtSP and AtFP: in memory, at an offset from the CFA, SP or FP. SP
	// and FP are the values in the frame itself.
	AtCFA
	AtSP
	AtFP
	// InLR: in the link register, of arm64.
	InLR
	// Undefined: there is no caller.
	Undefined
)
