// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

// Of struct rt_sigframe in arch/arm64/kernel/signal.c, v5.10 to v6.12, see bpf/unwind.h.
const (
	sigframeFP     = 544 // x29, and x30, SP and PC behind it
	sigframeFPSIMD = 592
	fpsimdHeader   = 528<<32 | 0x46508001 // its size, and FPSIMD_MAGIC
)

// Interrupted returns the registers that a signal found, if its frame is at the stack
// pointer. On arm64 nothing else tells where a signal handler returns to: there is no
// call frame information, and frame pointers lead past the function that was
// interrupted.
func (r Registers) Interrupted(arch Arch, read func(addr uint64) (uint64, bool)) (Registers, bool) {
	if arch != ARM64 {
		return Registers{}, false
	}
	if header, ok := read(r.SP + sigframeFPSIMD); !ok || header != fpsimdHeader {
		return Registers{}, false
	}
	var saved [4]uint64
	for i := range saved {
		var ok bool
		if saved[i], ok = read(r.SP + sigframeFP + 8*uint64(i)); !ok {
			return Registers{}, false
		}
	}
	return Registers{FP: saved[0], LR: saved[1], SP: saved[2], IP: saved[3]}, true
}
