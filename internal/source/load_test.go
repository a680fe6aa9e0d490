// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// The kernel's types number its controllers.
func TestTheNumberOfAController(t *testing.T) {
	roottest.Need(t)
	cpu, err := controllerID("cpu")
	require.NoError(t, err)
	memory, err := controllerID("memory")
	require.NoError(t, err)
	require.NotEqual(t, cpu, memory)
	require.Less(t, max(cpu, memory), uint32(16))
	_, err = controllerID("no such")
	require.ErrorContains(t, err, `the kernel has no controller "no such"`)
}
