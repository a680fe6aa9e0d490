// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	_ "embed"
	"testing"
)

//go:embed caller/caller.c
var callerSource []byte

// BuildCaller compiles a program that calls for ever what its argument says: the
// system call getppid or its own function probed.
func BuildCaller(t testing.TB) string {
	t.Helper()
	return compile(t, "caller", callerSource, "-static")
}
