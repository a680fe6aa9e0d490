// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import "github.com/cilium/ebpf"

// maxPrograms bounds what is asked for; hosts have some hundred BPF programs.
const maxPrograms = 1 << 13

// ProgramSizes returns the bytes of code of each function of the BPF programs that are loaded,
// by its address, as far as the kernel shows them: it wants CAP_SYS_ADMIN and CAP_SYSLOG for it
// (bpf_prog_get_next_id and bpf_prog_get_info_by_fd in kernel/bpf/syscall.c, v6.12).
func ProgramSizes() map[uint64]uint64 {
	sizes := map[uint64]uint64{}
	var id ebpf.ProgramID
	for range maxPrograms {
		next, err := ebpf.ProgramGetNextID(id)
		if err != nil {
			break
		}
		id = next
		addProgram(sizes, id)
	}
	return sizes
}

// addProgram adds a program, nothing if it went meanwhile.
func addProgram(sizes map[uint64]uint64, id ebpf.ProgramID) {
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return
	}
	addresses, _ := info.JitedKsymAddrs()
	lengths, _ := info.JitedFuncLens()
	if len(addresses) != len(lengths) {
		return
	}
	for i, a := range addresses {
		sizes[uint64(a)] = uint64(lengths[i])
	}
}
