// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	_ "embed"
	"testing"
)

//go:embed mute/mute.c
var muteSource []byte

// BuildMute compiles a program that keeps whoever reads its arguments waiting, see mute/mute.c.
func BuildMute(t testing.TB) string {
	t.Helper()
	return compile(t, "mute", muteSource, "-pthread")
}
