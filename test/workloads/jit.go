// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	_ "embed"
	"testing"
)

//go:embed jit/jit.c
var jitSource []byte

// Made are the names of the functions that the program which BuildJIT builds makes at
// run time.
var Made = []string{"first made at run time", "second made at run time"}

// BuildJIT builds a program that makes functions at run time, see jit/jit.c.
func BuildJIT(t testing.TB) string {
	t.Helper()
	return compile(t, "jit", jitSource)
}
