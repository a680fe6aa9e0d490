// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// TestTheVDSOIsNamed: code that is in no file has the names that the kernel gives it, and
// the same addresses in every process.
func TestTheVDSOIsNamed(t *testing.T) {
	roottest.Need(t)
	dir := t.TempDir()
	source, program := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock")
	require.NoError(t, os.WriteFile(source, []byte(`#include <time.h>
int main(void) {
	struct timespec now;
	while (clock() < CLOCKS_PER_SEC)
		for (int i = 0; i < 100000; i++) clock_gettime(CLOCK_MONOTONIC, &now);
}
`), 0o600))
	out, err := exec.Command("gcc", "-O2", "-o", program, source).CombinedOutput()
	require.NoError(t, err, string(out))
	s := fast()
	s.SamplesPerSecond = 997
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, s, sink)
	for range 2 {
		require.NoError(t, exec.Command(program).Run())
	}
	require.NoError(t, r.Shutdown(t.Context()))
	named, other, addresses := 0, map[string]int{}, map[uint64]bool{}
	eachSample(sink.AllProfiles(), func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		frames := userFrames(d, s)
		if text(a, "process.executable.path").Str() != program || len(frames) == 0 || fileOf(d, frames[0]) != "[vdso]" {
			return
		}
		name := ""
		if lines := frames[0].Lines(); lines.Len() > 0 {
			name = d.StringTable().At(int(d.FunctionTable().At(int(lines.At(0).FunctionIndex())).NameStrindex()))
		}
		if strings.Contains(name, "clock_gettime") {
			named += s.TimestampsUnixNano().Len()
			addresses[frames[0].Address()>>16] = true
		} else {
			other[name] += s.TimestampsUnixNano().Len()
		}
	})
	t.Log(named, "named,", other, addresses)
	require.Greater(t, named, 500)
	require.Len(t, addresses, 1, "where it is mapped does not matter")
}
