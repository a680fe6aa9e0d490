// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

// Registers are those of a frame that a Rule needs.
type Registers struct {
	// IP is the address of the instruction, in memory.
	IP uint64
	SP uint64
	// FP is zero where it is not known; no frame is there.
	FP uint64
	// LR is of arm64, and of the frame that runs or was interrupted: further up
	// it is not known, and zero.
	LR uint64
}

// Reason says how a step ended.
type Reason uint8

const (
	// ReasonOK: the registers are those of the caller.
	ReasonOK Reason = iota
	// ReasonEnd: there is no caller.
	ReasonEnd
	// ReasonNoInfo: the file says nothing of the address.
	ReasonNoInfo
	// ReasonUnsupported: the file says it in a way that rules do not.
	ReasonUnsupported
	// ReasonUnreadable: memory that is needed cannot be read.
	ReasonUnreadable
	// ReasonNoProgress: the caller's frame would not be above this one, as it is
	// everywhere but behind a signal handler and where the stack is changed.
	ReasonNoProgress
)

// String names the reason in a few words.
func (r Reason) String() string {
	switch r {
	case ReasonOK:
		return "ok"
	case ReasonEnd:
		return "end of stack"
	case ReasonNoInfo:
		return "no information"
	case ReasonUnsupported:
		return "unsupported rule"
	case ReasonUnreadable:
		return "unreadable memory"
	case ReasonNoProgress:
		return "no progress"
	}
	return "unknown reason"
}

// addressBits is the size of user space of arm64 as Linux uses it, unless a
// program asks for more (Documentation/arch/arm64/memory.rst, v6.12). Above it
// return addresses may have a signature.
const addressBits = 48

// Step returns the registers of the caller of a frame with this rule and the
// registers regs. read returns the eight bytes at an address of the stack. The
// registers are of no use unless the Reason is ReasonOK.
//
// A loop of steps ends if the caller of Step bounds it: across signal handlers and
// switches stacks change, and a hostile one may lead back to where it came from.
func (r Rule) Step(arch Arch, regs Registers, read func(addr uint64) (uint64, bool)) (Registers, Reason) {
	if r.RA == Undefined || r.Switch && regs.FP == 0 {
		return Registers{}, ReasonEnd
	}
	cfa, reason := r.cfa(regs, read)
	if reason != ReasonOK {
		return Registers{}, reason
	}
	if !r.progress(regs.SP, cfa) {
		return Registers{}, ReasonNoProgress
	}
	ip, reason := locate(r.RA, r.RAOffset, regs.LR, cfa, regs, read)
	if reason != ReasonOK {
		return Registers{}, reason
	}
	fp, reason := locate(r.FP, r.FPOffset, regs.FP, cfa, regs, read)
	if reason == ReasonUnsupported {
		fp, reason = 0, ReasonOK // most frames up do well without
	}
	if arch == ARM64 {
		ip &= 1<<addressBits - 1
	}
	if ip == 0 && reason == ReasonOK { // where threads start, by convention
		reason = ReasonEnd
	}
	return Registers{IP: ip, SP: cfa, FP: fp}, reason
}

// cfa computes the canonical frame address.
func (r Rule) cfa(regs Registers, read func(addr uint64) (uint64, bool)) (uint64, Reason) {
	offset := uint64(int64(r.CFAOffset))
	switch r.CFA {
	case CFANoInfo:
		return 0, ReasonNoInfo
	case CFASP:
		return regs.SP + offset, ReasonOK
	case CFAFP:
		return regs.FP + offset, ReasonOK
	case CFADerefSP:
		return load(regs.SP+offset, read)
	case CFADerefFP:
		return load(regs.FP+offset, read)
	case CFADerefSP8:
		cfa, reason := load(regs.SP+offset, read)
		return cfa + 8, reason
	case CFADerefFP8:
		cfa, reason := load(regs.FP+offset, read)
		return cfa + 8, reason
	case CFAPLT:
		if regs.IP&15 >= offset {
			return regs.SP + 16, ReasonOK
		}
		return regs.SP + 8, ReasonOK
	}
	return 0, ReasonUnsupported
}

// progress says whether a CFA can be that of a frame at sp. A function that has
// the return address in a register may have no frame at all.
func (r Rule) progress(sp, cfa uint64) bool {
	return r.Signal || r.Switch || cfa > sp || cfa == sp && r.RA == InLR
}

// locate finds the caller's value of a register that here is own.
func locate(place Place, offset int32, own, cfa uint64, regs Registers, read func(addr uint64) (uint64, bool)) (uint64, Reason) {
	at := uint64(int64(offset))
	switch place {
	case Same:
		return own, ReasonOK
	case InLR:
		if own == 0 { // only a frame that called nothing has it
			return 0, ReasonUnsupported
		}
		return own, ReasonOK
	case AtCFA:
		return load(cfa+at, read)
	case AtSP:
		return load(regs.SP+at, read)
	case AtFP:
		return load(regs.FP+at, read)
	}
	return 0, ReasonUnsupported
}

func load(addr uint64, read func(addr uint64) (uint64, bool)) (uint64, Reason) {
	if v, ok := read(addr); ok {
		return v, ReasonOK
	}
	return 0, ReasonUnreadable
}
