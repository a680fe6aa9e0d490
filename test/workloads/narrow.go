// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	_ "embed"
	"testing"
)

//go:embed narrow/narrow.c
var narrowSource []byte

// BuildNarrow builds a 32-bit program that burns a CPU, see narrow/narrow.c.
func BuildNarrow(t testing.TB) string {
	t.Helper()
	return compile(t, "narrow", narrowSource, "-m32", "-nostdlib", "-static", "-ffreestanding", "-no-pie")
}
