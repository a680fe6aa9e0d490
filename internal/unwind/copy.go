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

// Code says what is known of the code at an address.
type Code uint8

const (
	// CodeUnknown: nothing is known to be mapped there.
	CodeUnknown Code = iota
	// CodeBare: it is in no file with a table.
	CodeBare
	// CodeOfTable: it is in a file with a table, which may say nothing of it.
	CodeOfTable
)

// Find returns the rule of the code at an address of a process, NoInfo if there is
// none.
type Find func(address uint64) (Rule, Code)

const (
	// maxFrames is MAX_USER_FRAMES of bpf/wire.h.
	maxFrames = 512
	// What cannot be a return address: the first page, and what is not user space.
	minAddress, maxAddress = 4096, 1 << 56
)

// FramePointers is the rule that code without one is taken to have, such as what is made
// at run time.
var FramePointers = Rule{CFA: CFAFP, CFAOffset: 16, FP: AtCFA, FPOffset: -16, RA: AtCFA, RAOffset: -8}

// Walk appends an address in the instruction of each frame of the stack, innermost
// first, and returns how it ends. It decides like the walk in bpf/unwind.h, but for what
// that reads of the code itself: it follows no frame pointer out of code that a table
// says nothing of.
func (c *Copy) Walk(arch Arch, find Find, frames []uint64) ([]uint64, event.UserStack) {
	w := walk{arch: arch, copy: c, regs: c.Registers, exact: true}
	for n := range maxFrames {
		at := w.regs.IP
		if !w.exact {
			at-- // a return address is behind its call
		}
		rule, code := find(at)
		found, signal := Registers{}, false
		if rule == NoInfo {
			found, signal = w.regs.Interrupted(arch, c.load)
		}
		if signal || rule.Signal {
			at = w.regs.IP // no call is before it
		}
		frames = append(frames, at)
		if signal {
			if end := w.move(found, Rule{Signal: true}); end != event.UserTaken {
				return frames, end
			}
			continue
		}
		if code == CodeUnknown && n > 0 {
			return frames, event.UserUnmapped
		}
		if rule == NoInfo {
			if code == CodeOfTable || w.regs.FP < w.regs.SP || w.regs.FP%8 != 0 {
				return frames, event.UserNoTable
			}
			rule = FramePointers
		}
		if end := w.step(rule); end != event.UserTaken {
			return frames, end
		}
	}
	return frames, event.UserTruncated
}

// walk is on its way up a copy.
type walk struct {
	arch  Arch
	copy  *Copy
	regs  Registers
	exact bool // the frame was interrupted at IP; else that is behind a call
	// signal and switched: a frame that was not above the one before has been reached
	// that way, which it is once at most.
	signal, switched bool
}

// step goes to the caller's frame. It returns how the walk ends, or UserTaken.
func (w *walk) step(rule Rule) event.UserStack {
	beyond := false
	caller, reason := rule.Step(w.arch, w.regs, func(addr uint64) (uint64, bool) {
		word, ok := w.copy.load(addr)
		beyond = beyond || !ok && addr >= w.copy.Registers.SP
		return word, ok
	})
	switch {
	case reason == ReasonUnreadable && beyond:
		return event.UserTruncated
	case reason != ReasonOK:
		return ends[reason]
	}
	return w.move(caller, rule)
}

// move makes the frame the caller's, which a rule led to.
func (w *walk) move(caller Registers, rule Rule) event.UserStack {
	if caller.IP < minAddress || caller.IP >= maxAddress || caller.SP <= w.regs.SP && !w.leap(rule) {
		return event.UserBadFrame
	}
	w.regs, w.exact = caller, rule.Signal
	return event.UserTaken
}

// leap reports whether the rule may lead to a frame that is not above this one.
func (w *walk) leap(rule Rule) bool {
	switch {
	case rule.Signal && !w.signal:
		w.signal = true
	case rule.Switch && !w.switched:
		w.switched = true
	default:
		return rule.RA == InLR && !rule.Signal && !rule.Switch
	}
	return true
}

var ends = [...]event.UserStack{
	ReasonEnd:         event.UserComplete,
	ReasonNoInfo:      event.UserNoTable,
	ReasonUnsupported: event.UserUnsupported,
	ReasonUnreadable:  event.UserUnreadable,
	ReasonNoProgress:  event.UserBadFrame,
}
