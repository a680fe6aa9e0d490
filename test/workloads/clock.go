// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	_ "embed"
	"testing"
)

//go:embed clock/clock.c
var clockSource []byte

// BuildClock compiles a program that spends its time in the vDSO, see clock/clock.c.
func BuildClock(t testing.TB) string {
	t.Helper()
	return compile(t, "clock", clockSource, "-fomit-frame-pointer")
}
