// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// memory is a stack, in words of eight bytes.
type memory map[uint64]uint64

func (m memory) read(addr uint64) (uint64, bool) {
	v, ok := m[addr]
	return v, ok
}

func TestStep(t *testing.T) {
	stack := memory{
		0x1000: 0x1100, 0x1008: 0x4001, 0x1010: 0x2000, 0x1018: 0x4002, 0x1020: 0x2008, 0x1028: 0x2010,
		0x1ff8: 0x4003, 0x2000: 0x4004, 0x2008: 0, 0x2010: 1<<63 | 0x4005, 0x2018: 0x4006,
	}
	at := Registers{IP: 0x400b, SP: 0x1000, FP: 0x1010, LR: 0x7fff0123}
	for name, c := range map[string]struct {
		rule Rule
		want Registers // of amd64, if OK
		end  Reason
	}{
		"SP":              {frame(CFASP, 16), Registers{IP: 0x4001, SP: 0x1010, FP: 0x1010}, ReasonOK},
		"FP":              {frame(CFAFP, 16).fp(AtCFA, -16), Registers{IP: 0x4002, SP: 0x1020, FP: 0x2000}, ReasonOK},
		"*(SP)":           {frame(CFADerefSP, 32), Registers{IP: 0x4004, SP: 0x2008, FP: 0x1010}, ReasonOK},
		"*(FP)":           {frame(CFADerefFP, 0).fp(AtFP, 0), Registers{IP: 0x4003, SP: 0x2000, FP: 0x2000}, ReasonOK},
		"*(SP)+8":         {frame(CFADerefSP8, 16), Registers{IP: 0x4004, SP: 0x2008, FP: 0x1010}, ReasonOK},
		"*(FP)+8":         {frame(CFADerefFP8, 24).ra(AtCFA, 0), Registers{IP: 0x4006, SP: 0x2018, FP: 0x1010}, ReasonOK},
		"PLT, pushed":     {frame(CFAPLT, 11).ra(AtSP, 8), Registers{IP: 0x4001, SP: 0x1010, FP: 0x1010}, ReasonOK},
		"PLT, not yet":    {frame(CFAPLT, 12).ra(AtSP, 8), Registers{IP: 0x4001, SP: 0x1008, FP: 0x1010}, ReasonOK},
		"FP lost":         {frame(CFASP, 16).fp(Unknown, 0), Registers{IP: 0x4001, SP: 0x1010}, ReasonOK},
		"FP and RA at SP": {frame(CFASP, 16).fp(AtSP, 0).ra(AtSP, 24), Registers{IP: 0x4002, SP: 0x1010, FP: 0x1100}, ReasonOK},
		"in LR":           {frame(CFASP, 0).ra(InLR, 0), Registers{IP: 0x7fff0123, SP: 0x1000, FP: 0x1010}, ReasonOK},
		"signal, down":    {Rule{CFA: CFADerefSP, CFAOffset: 0, FP: Same, RA: AtSP, RAOffset: 8, Signal: true}, Registers{IP: 0x4001, SP: 0x1100, FP: 0x1010}, ReasonOK},
		"signal, stays":   {Rule{CFA: CFASP, FP: Same, RA: AtSP, RAOffset: 8, Signal: true}, Registers{IP: 0x4001, SP: 0x1000, FP: 0x1010}, ReasonOK},
		"switch, down":    {Rule{CFA: CFAFP, CFAOffset: -0x20, FP: AtFP, RA: AtFP, RAOffset: 8, Switch: true}, Registers{IP: 0x4002, SP: 0xff0, FP: 0x2000}, ReasonOK},
		"no info":         {NoInfo, Registers{}, ReasonNoInfo},
		"unsupported":     {lost, Registers{}, ReasonUnsupported},
		"RA lost":         {frame(CFASP, 16).ra(Unknown, 0), Registers{}, ReasonUnsupported},
		"undefined":       {lost.ra(Undefined, 0), Registers{}, ReasonEnd},
		"zero":            {frame(CFASP, 16).ra(AtCFA, 0xff8), Registers{}, ReasonEnd},
		"CFA unreadable":  {frame(CFADerefSP, 1), Registers{}, ReasonUnreadable},
		"CFA unread, +8":  {frame(CFADerefFP8, 1), Registers{}, ReasonUnreadable},
		"RA unreadable":   {frame(CFASP, 17), Registers{}, ReasonUnreadable},
		"FP unreadable":   {frame(CFASP, 16).fp(AtCFA, 1), Registers{}, ReasonUnreadable},
		"stays":           {frame(CFASP, 0), Registers{}, ReasonNoProgress},
		"down":            {frame(CFASP, -8), Registers{}, ReasonNoProgress},
		"down, LR":        {frame(CFASP, -8).ra(InLR, 0), Registers{}, ReasonNoProgress},
	} {
		t.Run(name, func(t *testing.T) {
			got, end := c.rule.Step(AMD64, at, stack.read)
			require.Equal(t, c.end, end, "%v", end)
			if end == ReasonOK {
				assert.Equal(t, c.want, got)
			}
		})
	}
	t.Run("around the address space", func(t *testing.T) {
		_, end := frame(CFASP, 16).Step(AMD64, Registers{SP: 1<<64 - 8}, stack.read)
		assert.Equal(t, ReasonNoProgress, end)
	})
	t.Run("signed address", func(t *testing.T) {
		got, end := Rule{CFA: CFASP, CFAOffset: 0x1018, FP: Same, RA: AtCFA, RAOffset: -8}.Step(ARM64, at, stack.read)
		require.Equal(t, ReasonOK, end)
		assert.Equal(t, Registers{IP: 0x4005, SP: 0x2018, FP: 0x1010}, got)
	})
}

// The link register is known where a function runs, not in what called it.
func TestLinkRegisterIsLost(t *testing.T) {
	got, end := link(16).Step(ARM64, Registers{IP: 1, SP: 0x1000, LR: 0x4000}, memory{}.read)
	require.Equal(t, ReasonOK, end)
	assert.Equal(t, Registers{IP: 0x4000, SP: 0x1010}, got)
	_, end = link(16).Step(ARM64, got, memory{}.read)
	assert.Equal(t, ReasonUnsupported, end)
}

// A stack of a leaf, a function that realigns its stack, a signal handler's
// return and what it interrupted, from the tables to the end.
func TestWalk(t *testing.T) {
	f := frameBuilder{eh: true}
	e := f.cie(testCIE{})
	signal := f.cie(testCIE{augmentation: "zRS", code: []byte{}})
	f.fde(e, absolute(0x000, 0x10), advance(4), op(cfaDefCFAOffset, 16))
	f.fde(e, absolute(0x100, 0x10), op(cfaDefCFAExpression, block(0x76, 0x78, opDeref)), op(cfaExpression, 6, block(0x76, 0)))
	// Nothing called it, so glibc lets it begin one byte early
	// (sysdeps/unix/sysv/linux/x86_64/libc_sigaction.c).
	f.fde(signal, absolute(0x1ff, 0x11), op(cfaDefCFAExpression, block(0x77, 0x20, opDeref)),
		op(cfaExpression, 6, block(0x77, 0x10)), op(cfaExpression, 16, block(0x77, 0x28)))
	f.fde(e, absolute(0x300, 0x10), advance(1), op(cfaDefCFA, 6, 16), op(cfaOffset<<6|6, 2))
	f.fde(e, absolute(0x400, 0x10), op(cfaUndefined, 16))
	table := compile(t, elfBuilder{eh: f.data}.build())

	stack := memory{
		0x7000_0008: codeAddress + 0x108,                                                // leaf
		0x7000_1038: 0x7000_1060, 0x7000_1040: 0x1234, 0x7000_1058: codeAddress + 0x200, // realigned
		0x7000_1070: 0x5000_2000, 0x7000_1080: 0x5000_1f00, 0x7000_1088: codeAddress + 0x301, // interrupted
		0x5000_2000: 0x77, 0x5000_2008: codeAddress + 0x401,
	}
	regs, exact := Registers{IP: codeAddress + 4, SP: 0x7000_0000, FP: 0x7000_1040}, true
	var path []uint64
	var end Reason
	for end == ReasonOK {
		path = append(path, regs.IP-codeAddress)
		at := regs.IP
		if !exact {
			at--
		}
		rule, _ := table.Find(at)
		regs, end = rule.Step(table.Arch, regs, stack.read)
		exact = rule.Signal
	}
	assert.Equal(t, ReasonEnd, end)
	assert.Equal(t, []uint64{4, 0x108, 0x200, 0x301, 0x401}, path)
}

func TestNames(t *testing.T) {
	assert.Equal(t, "amd64", AMD64.String())
	assert.Equal(t, "arm64", ARM64.String())
	assert.Equal(t, "Arch(9)", Arch(9).String())
	seen := make(map[string]bool)
	for r := ReasonOK; r <= ReasonNoProgress+1; r++ {
		assert.False(t, seen[r.String()], "%v", r)
		seen[r.String()] = true
	}
}

// A function that changes the stack and has no frame pointer has no caller: Go's
// scheduler begins so.
func TestSwitchWithoutFramePointer(t *testing.T) {
	rule := Rule{CFA: CFAFP, CFAOffset: 16, FP: AtCFA, FPOffset: -16, RA: AtCFA, RAOffset: -8, Switch: true}
	_, end := rule.Step(AMD64, Registers{IP: 0x4000, SP: 0x1000}, memory{8: 0x4001, 0: 0x2000}.read)
	assert.Equal(t, ReasonEnd, end)
}
