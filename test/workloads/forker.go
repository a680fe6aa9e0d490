// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	_ "embed"
	"testing"
)

//go:embed forker/forker.c
var forkerSource []byte

// ForkerPlace is where the program that BuildForker builds maps its files.
const ForkerPlace = 0x700000000000

// BuildForker builds a program of which one thread maps while another forks, see
// forker/forker.c.
func BuildForker(t testing.TB) string {
	t.Helper()
	return compile(t, "forker", forkerSource, "-pthread")
}
