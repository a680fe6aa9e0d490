// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package workloads

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// FreePID returns a PID that no process gets by chance for a long time: half a
// round ahead of the last one.
func FreePID(t testing.TB) int {
	t.Helper()
	return FreePIDs(t, 1)
}

// FreePIDs returns the first of n such PIDs in a row.
func FreePIDs(t testing.TB, n int) int {
	t.Helper()
	last, limit := readInt(t, "/proc/sys/kernel/ns_last_pid"), readInt(t, "/proc/sys/kernel/pid_max")
	const reserved = 301 // RESERVED_PIDS in kernel/pid.c, v6.12
	taken := takenPIDs(t)
	first := (last + limit/2) % limit
	for range 2 * limit {
		if first < reserved || first+n > limit {
			first = reserved
		}
		free := 0
		for free < n && !taken[first+free] {
			free++
		}
		if free == n {
			return first
		}
		first += free + 1
	}
	require.Failf(t, "too many processes", "no %d PIDs in a row are free", n)
	return 0
}

// takenPIDs returns the numbers that threads, process groups and sessions have: the
// kernel gives none away before the last member of them has gone.
func takenPIDs(t testing.TB) map[int]bool {
	t.Helper()
	threads, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*")
	require.NoError(t, err)
	taken := map[int]bool{}
	for _, path := range threads {
		id, err := strconv.Atoi(filepath.Base(path))
		require.NoError(t, err)
		taken[id] = true
		// They fail for what has gone meanwhile.
		if group, err := unix.Getpgid(id); err == nil {
			taken[group] = true
		}
		if session, err := unix.Getsid(id); err == nil {
			taken[session] = true
		}
	}
	return taken
}

func readInt(t testing.TB, path string) int {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	return n
}
