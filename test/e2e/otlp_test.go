// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What went through OTLP, over gRPC and over HTTP, is what was sent. Reading
// checks every message against the rules of OTLP.
func TestRoundTrip(t *testing.T) {
	burnAll(t)
	c := start(t, "roundtrip.yaml", portVariable(t, "GRPC_PORT"), portVariable(t, "HTTP_PORT"))
	time.Sleep(4 * time.Second)
	// Receivers stop before exporters, so the last windows get no further than
	// the file; those until now have long arrived.
	end := time.Now()
	time.Sleep(3 * time.Second)
	c.stop()

	direct := countBefore(readSamples(t, c.file("direct.otlp")), end)
	require.Greater(t, len(direct), 2*997, "samples of two busy CPUs")
	for _, way := range []string{"grpc.otlp", "http.otlp"} {
		got := countBefore(readSamples(t, c.file(way)), end)
		// Not assert.Equal: its report of thousands of samples helps nobody.
		missing, extra := compare(direct, got), compare(got, direct)
		assert.Empty(t, missing[:min(3, len(missing))], "%s lacks %d samples", way, len(missing))
		assert.Empty(t, extra[:min(3, len(extra))], "%s has %d samples that were not sent", way, len(extra))
	}
	t.Logf("%d samples went both ways", len(direct))
}

// compare returns what want has more often than got.
func compare(want, got map[string]int) (missing []string) {
	for s, n := range want {
		if got[s] < n {
			missing = append(missing, s)
		}
	}
	return missing
}
