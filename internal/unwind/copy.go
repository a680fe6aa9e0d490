// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"

// Copy is the part of a stack that was in use, at its inner end, and the registers
// of the frame that ran.
type Copy struct {
	Registers Registers
	// Words are what was at Registers.SP and above.
	Words []uint64
}

// copyRegisters is COPY_REGISTERS of bpf/wire.h.
const copyRegisters = 4

// CopyOf reads what the sampler wrote: IP, SP, FP and LR, then the stack. It keeps
// the words.
func CopyOf(words []uint64) (Copy, bool) {
	if len(words) < copyRegisters {
		return Copy{}, false
	}
	regs := Registers{IP: words[0], SP: words[1], FP: words[2], LR: words[3]}
	return Copy{regs, words[copyRegisters:]}, true
}

// load returns the eight bytes at an address.
func (c *Copy) load(addr uint64) (uint64, bool) {
	from := addr - c.Registers.SP
	i := from / 8
	if i >= uint64(len(c.Words)) {
		return 0, false
	}
	shift := from % 8 * 8
	if shift == 0 {
		return c.Words[i], true
	}
	if i+1 >= uint64(len(c.Words)) {
		return 0, false
	}
	return c.Words[i]>>shift | c.Words[i+1]<<(64-shift), true
}

// Find returns the rule of the code at an address of a process, NoInfo if there is
// none. It is false if nothing is known to be mapped there.
type Find func(address uint64) (rule Rule, mapped bool)

const (
	// maxFrames is MAX_USER_FRAMES of bpf/wire.h.
	maxFrames = 512
	// What cannot be a return address: the first page, and what is not user space.
	minAddress, maxAddress = 4096, 1 << 56
)

// framePointers is what code without tables is taken to have: Go, and what is made at
// run time.
var framePointers = Rule{CFA: CFAFP, CFAOffset: 16, FP: AtCFA, FPOffset: -16, RA: AtCFA, RAOffset: -8}

// Walk appends the frames of the stack, innermost first, and returns how it ends. It
// decides like the walk in bpf/unwind.h.
func (c *Copy) Walk(arch Arch, find Find, frames []uint64) ([]uint64, event.UserStack) {
	regs, exact, switched := c.Registers, true, false
	for n := range maxFrames {
		frames = append(frames, regs.IP)
		address := regs.IP
		if !exact {
			address--
		}
		rule, mapped := find(address)
		caller, signal := Registers{}, false
		if rule == NoInfo {
			caller, signal = regs.Interrupted(arch, c.load)
		}
		if !signal {
			if !mapped && n > 0 {
				return frames, event.UserUnmapped
			}
			var end event.UserStack
			if caller, end = c.step(arch, rule, regs); end != event.UserTaken {
				return frames, end
			}
			signal = rule.Signal
		}
		back := signal && caller.SP <= regs.SP // to another stack, which happens once
		if caller.IP < minAddress || caller.IP >= maxAddress || back && switched {
			return frames, event.UserBadFrame
		}
		regs, exact, switched = caller, signal, switched || back
	}
	return frames, event.UserTruncated
}

// step goes to the caller of a frame with a rule. UserTaken: there is one.
func (c *Copy) step(arch Arch, rule Rule, regs Registers) (Registers, event.UserStack) {
	if rule == NoInfo {
		if regs.FP < regs.SP || regs.FP%8 != 0 {
			return Registers{}, event.UserNoTable
		}
		rule = framePointers
	}
	beyond := false
	caller, reason := rule.Step(arch, regs, func(addr uint64) (uint64, bool) {
		word, ok := c.load(addr)
		beyond = beyond || !ok && addr >= c.Registers.SP
		return word, ok
	})
	if reason == ReasonUnreadable && beyond {
		return caller, event.UserTruncated
	}
	return caller, ends[reason]
}

var ends = [...]event.UserStack{
	ReasonOK:          event.UserTaken,
	ReasonEnd:         event.UserComplete,
	ReasonNoInfo:      event.UserNoTable,
	ReasonUnsupported: event.UserUnsupported,
	ReasonUnreadable:  event.UserUnreadable,
	ReasonNoProgress:  event.UserBadFrame,
}
