// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	_ "embed"
	"testing"
)

//go:embed mangled/mangled.c
var mangledSource []byte

// Mangled is the symbol of the function that BuildMangled's program burns in.
const Mangled = "_ZN8workload4burnIiEEvT_"

// BuildMangled builds a program that burns a CPU for a second in workload::burn, see
// mangled/mangled.c.
func BuildMangled(t testing.TB) string {
	t.Helper()
	return compile(t, "mangled", mangledSource)
}
