// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"debug/elf"
	"fmt"
	"runtime"
)

// Arch is an architecture.
type Arch uint8

// The architectures that have tables.
const (
	AMD64 Arch = iota + 1
	ARM64
)

// Native is that of this program; 0: it has no tables.
func Native() Arch {
	switch runtime.GOARCH {
	case "amd64":
		return AMD64
	case "arm64":
		return ARM64
	}
	return 0
}

// String is the name that Go has for it.
func (a Arch) String() string {
	switch a {
	case AMD64:
		return "amd64"
	case ARM64:
		return "arm64"
	}
	return fmt.Sprintf("Arch(%d)", uint8(a))
}

// registers are the DWARF numbers of the registers that are followed.
type registers struct {
	sp, fp uint64
	// lr is where a call leaves the return address.
	lr    uint64
	hasLR bool
}

// archOf returns the architecture of a file and its registers (System V ABI for
// AMD64, figure 3.36; DWARF for the Arm 64-bit Architecture, section 4.1).
func archOf(m elf.Machine) (Arch, registers, error) {
	switch m {
	case elf.EM_X86_64:
		return AMD64, registers{sp: 7, fp: 6}, nil
	case elf.EM_AARCH64:
		return ARM64, registers{sp: 31, fp: 29, lr: 30, hasLR: true}, nil
	}
	return 0, registers{}, fmt.Errorf("%w: %v", ErrArch, m)
}
