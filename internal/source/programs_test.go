// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// TestProgramSizes: the functions of a program are listed with their sizes, as long as it is
// loaded.
func TestProgramSizes(t *testing.T) {
	roottest.Need(t)
	const instructions = 3000
	code := asm.Instructions{asm.Mov.Imm(asm.R0, 3)}
	for range instructions {
		code = append(code, asm.Mul.Imm(asm.R0, 7))
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "sized", Type: ebpf.SocketFilter, License: "GPL", Instructions: append(code, asm.Return()),
	})
	require.NoError(t, err)
	defer p.Close()
	info, err := p.Info()
	require.NoError(t, err)
	addresses, ok := info.JitedKsymAddrs()
	require.True(t, ok)
	require.Len(t, addresses, 1)
	size := ProgramSizes()[uint64(addresses[0])]
	require.Greater(t, size, uint64(4*instructions))
	require.Less(t, size, uint64(16*instructions))
	require.NoError(t, p.Close())
	require.Eventually(t, func() bool { return ProgramSizes()[uint64(addresses[0])] != size }, 5*time.Second, 10*time.Millisecond)
}
