// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	_ "embed"
	"testing"
)

//go:embed deep/deep.c
var deepSource []byte

// BuildDeep compiles a program that burns a CPU at the end of a chain of calls,
// without frame pointers, see deep/deep.c.
func BuildDeep(t testing.TB, flags ...string) string {
	t.Helper()
	return compile(t, "deep", deepSource, append(flags, "-fomit-frame-pointer")...)
}

// BuildSigned compiles the same for arm64, with signed return addresses.
func BuildSigned(t testing.TB, flags ...string) string {
	t.Helper()
	return compile(t, "signed", deepSource, append(flags, "-fomit-frame-pointer", "-mbranch-protection=standard")...)
}
