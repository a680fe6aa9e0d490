// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package roottest is for tests that need what not every machine has: the privilege to
// instrument the kernel, or tools.
package roottest

import (
	"fmt"
	"os"
	"testing"
)

// Need skips the test where there is no privilege to run it; CI must have it.
func Need(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Lacks(t, "this test needs root")
	}
}

// InTime skips a test that asks whether files and processes were read in time: with the race
// detector, which makes the receiver ten times slower, they are not. Others run that code too.
func InTime(t testing.TB) {
	t.Helper()
	if race {
		t.Skip("this test asks whether something was done in time, which it is not with the race detector")
	}
}

// Lacks skips the test for what the machine does not have; CI must have it.
func Lacks(t testing.TB, what ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(fmt.Sprint(what...) + ", and CI must not skip it")
	}
	t.Skip(what...)
}
