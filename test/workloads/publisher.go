// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	_ "embed"
	"testing"
)

//go:embed publisher/publisher.c
var publisherSource []byte

// Unnamed is the exit code of a publisher whose kernel does not name anonymous memory.
const Unnamed = 77

// BuildPublisher builds a program that publishes a process context, see
// publisher/publisher.c.
func BuildPublisher(t testing.TB) string {
	t.Helper()
	return compile(t, "publisher", publisherSource, "-pthread")
}
