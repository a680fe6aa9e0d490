// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package roottest is for tests that need the kernel and the privilege to
// instrument it.
package roottest

import (
	"os"
	"testing"
)

// Need skips the test where there is no privilege to run it; CI must have it.
func Need(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this test needs root, and CI must not skip it")
	}
	t.Skip("this test needs root")
}
