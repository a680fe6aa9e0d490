// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Modules are told apart by what they are and where, not by who uses them.
func TestSumModules(t *testing.T) {
	const one = "xfs 1929216 2 - Live 0xffffffffc0600000\n"
	const two = one + "libcrc32c 16384 1 xfs, Live 0xffffffffc0400000\n"
	sums := map[uint64]bool{}
	for _, list := range []string{"", one, two, "xfs 1929216 2 - Live 0xffffffffc0700000\n", "ext4 1929216 2 - Live 0xffffffffc0600000\n"} {
		sums[sumModules([]byte(list))] = true
	}
	require.Len(t, sums, 5)
	require.Equal(t, sumModules([]byte(one)), sumModules([]byte("xfs 1929216 7 a,b, Live 0xffffffffc0600000 (E)\n")))
}

// The kernel that runs need not have modules.
func TestModules(t *testing.T) {
	r := newReader(t)
	got, err := r.Modules()
	require.NoError(t, err)
	list, err := os.ReadFile("/proc/modules")
	if errors.Is(err, os.ErrNotExist) {
		require.Zero(t, got)
		return
	}
	require.NoError(t, err)
	require.Equal(t, sumModules(list), got)
}
