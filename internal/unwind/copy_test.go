// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// A copy reads like the memory it is of, at any address, and not beyond.
func TestACopyReadsLikeMemory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		memory := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "memory")
		memory = memory[:len(memory)/8*8]
		sp := rapid.SampledFrom([]uint64{0, 8, 0x7ffc00000000, 1<<64 - 64}).Draw(t, "sp")
		c := Copy{Registers: Registers{SP: sp}}
		for i := 0; i < len(memory); i += 8 {
			c.Words = append(c.Words, binary.LittleEndian.Uint64(memory[i:]))
		}
		for at := -10; at < len(memory)+10; at++ {
			word, ok := c.load(sp + uint64(at))
			inside := at >= 0 && at+8 <= len(memory)
			require.Equal(t, inside, ok, "%d", at)
			if inside {
				require.Equal(t, binary.LittleEndian.Uint64(memory[at:]), word, "%d", at)
			}
		}
	})
}

// How a walk ends, by what the rule of the second of three frames is.
func TestHowTheWalkOfACopyEnds(t *testing.T) {
	plain := Rule{CFA: CFASP, CFAOffset: 16, FP: Same, RA: AtCFA, RAOffset: -8}
	words := func(second uint64) []uint64 {
		return []uint64{0x10010, 0x7f000, 0x7f100, 0, 1, 0x10021, 2, second, 3, 0}
	}
	for name, c := range map[string]struct {
		words []uint64
		rule  Rule
		code  Code
		end   event.UserStack
		deep  int
	}{
		"whole":                   {words(0x10031), plain, CodeOfTable, event.UserComplete, 3},
		"a root":                  {words(0x10031), Rule{CFA: CFASP, RA: Undefined}, CodeOfTable, event.UserComplete, 2},
		"no table":                {append([]uint64{0x10010, 0x7f000, 1}, words(0x10031)[3:]...), NoInfo, CodeBare, event.UserNoTable, 2},
		"by frame pointers":       {append([]uint64{0x10010, 0x7f000, 0x7f010}, words(0x10031)[3:]...), NoInfo, CodeBare, event.UserComplete, 3},
		"code without a rule":     {append([]uint64{0x10010, 0x7f000, 0x7f010}, words(0x10031)[3:]...), NoInfo, CodeOfTable, event.UserNoTable, 2},
		"nothing mapped":          {words(0x10031), NoInfo, CodeUnknown, event.UserUnmapped, 2},
		"another rule":            {words(0x10031), Rule{CFA: CFAUnsupported}, CodeOfTable, event.UserUnsupported, 2},
		"not above":               {words(0x10031), Rule{CFA: CFASP, RA: AtSP}, CodeOfTable, event.UserBadFrame, 2},
		"no code":                 {words(0x31), plain, CodeOfTable, event.UserBadFrame, 2},
		"beyond the copy":         {words(0x10031), Rule{CFA: CFASP, CFAOffset: 160, RA: AtCFA}, CodeOfTable, event.UserTruncated, 2},
		"below the stack pointer": {words(0x10031), Rule{CFA: CFASP, CFAOffset: 160, RA: AtSP, RAOffset: -100}, CodeOfTable, event.UserUnreadable, 2},
	} {
		stack, ok := CopyOf(c.words)
		require.True(t, ok)
		frames, end := stack.Walk(AMD64, func(address uint64) (Rule, Code) {
			if address == 0x10020 { // behind its call
				return c.rule, c.code
			}
			return plain, CodeOfTable
		}, nil)
		require.Equal(t, c.end, end, name)
		require.Equal(t, []uint64{0x10010, 0x10020, 0x10030}[:c.deep], frames, name)
	}
	_, ok := CopyOf(make([]uint64, copyRegisters-1))
	require.False(t, ok)
}

// A walk leaves a stack for one that is not above it once as a signal handler's, and once
// as code that changes stacks. It does not go round.
func TestTheWalkOfACopyGoesNotRound(t *testing.T) {
	stack := Copy{Registers{IP: 0x10010, SP: 0x7f000}, []uint64{0x7f000, 0x10010}}
	back := Rule{CFA: CFADerefSP, RA: AtSP, RAOffset: 8, FP: Same}
	for _, c := range []struct {
		signal, changes bool
		frames          int
	}{{false, false, 1}, {true, false, 2}, {false, true, 1}} {
		rule := back
		rule.Signal, rule.Switch = c.signal, c.changes
		frames, end := stack.Walk(AMD64, func(uint64) (Rule, Code) { return rule, CodeOfTable }, nil)
		require.Len(t, frames, c.frames)
		if c.changes {
			require.Equal(t, event.UserComplete, end, "without a frame pointer it is the end")
		} else {
			require.Equal(t, event.UserBadFrame, end)
		}
	}
	stack.Registers.FP = 8
	changes := back
	changes.Switch = true
	frames, end := stack.Walk(AMD64, func(uint64) (Rule, Code) { return changes, CodeOfTable }, nil)
	require.Len(t, frames, 2)
	require.Equal(t, event.UserBadFrame, end)
	turn := 0
	frames, end = stack.Walk(AMD64, func(uint64) (Rule, Code) {
		rule := back
		rule.Signal, rule.Switch = turn%2 == 0, turn%2 == 1
		turn++
		return rule, CodeOfTable
	}, nil)
	require.Len(t, frames, 3)
	require.Equal(t, event.UserBadFrame, end)
}

// What a signal interrupted is at its own address, and so is where the handler returns to.
func TestTheWalkOfACopyKnowsCallsFromInterruptions(t *testing.T) {
	plain := Rule{CFA: CFASP, CFAOffset: 16, FP: Same, RA: AtCFA, RAOffset: -8}
	handler := plain
	handler.Signal = true
	stack := Copy{Registers{IP: 0x10010, SP: 0x7f000}, []uint64{1, 0x10020, 2, 0x10030, 3, 0x10041, 4, 0}}
	frames, end := stack.Walk(AMD64, func(address uint64) (Rule, Code) {
		if address == 0x1001f {
			return handler, CodeOfTable
		}
		return plain, CodeOfTable
	}, nil)
	require.Equal(t, []uint64{0x10010, 0x10020, 0x10030, 0x10040}, frames)
	require.Equal(t, event.UserComplete, end)
}

func TestTheWalkOfACopyIsBounded(t *testing.T) {
	stack := Copy{Registers{IP: 0x10010, SP: 0x7f000}, make([]uint64, 2000)}
	for i := range stack.Words {
		stack.Words[i] = 0x10010
	}
	frames, end := stack.Walk(AMD64, func(uint64) (Rule, Code) {
		return Rule{CFA: CFASP, CFAOffset: 8, FP: Same, RA: AtCFA, RAOffset: -8}, CodeOfTable
	}, nil)
	require.Equal(t, event.UserTruncated, end)
	require.Len(t, frames, maxFrames)
}

// A handler of arm64 returns to code of which nothing is known. The function that was
// interrupted had its return address in LR; its frame is where the signal found it.
func TestTheWalkLeavesASignalHandler(t *testing.T) {
	const handler, trampoline, leaf, caller = 0x10010, 0x7f7f0000, 0x10020, 0x10030
	words := make([]uint64, 100)
	words[1] = trampoline // the frame of the handler, below that of the signal
	frame := words[2:]
	frame[sigframeFP/8] = 0x123
	frame[sigframeFP/8+1] = caller
	frame[sigframeFP/8+2] = 0x7f000 + 90*8
	frame[sigframeFP/8+3] = leaf
	frame[sigframeFPSIMD/8] = 0x0000021046508001
	find := func(address uint64) (Rule, Code) {
		switch address {
		case handler:
			return Rule{CFA: CFASP, CFAOffset: 16, RA: AtCFA, RAOffset: -8, FP: Same}, CodeOfTable
		case leaf:
			return Rule{CFA: CFASP, RA: InLR, FP: Same}, CodeOfTable
		case caller - 1:
			return Rule{RA: Undefined}, CodeOfTable
		}
		return NoInfo, CodeUnknown
	}
	stack := Copy{Registers{IP: handler, SP: 0x7f000}, words}
	frames, end := stack.Walk(ARM64, find, nil)
	require.Equal(t, event.UserComplete, end)
	require.Equal(t, []uint64{handler, trampoline, leaf, caller - 1}, frames)

	frames, end = stack.Walk(AMD64, find, nil)
	require.Equal(t, event.UserUnmapped, end, "it is of arm64")
	require.Len(t, frames, 2)
	frame[sigframeFPSIMD/8]++
	frames, end = stack.Walk(ARM64, find, nil)
	require.Equal(t, event.UserUnmapped, end)
	require.Len(t, frames, 2)
}
