// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

// inlining burns three seconds of CPU time in a function that is inlined.
const inlining = `#include <time.h>
static volatile unsigned long sink;
static inline __attribute__((always_inline)) void inner(void)
{
	for (int i = 0; i < 1000000; i++) sink += i; // here
}
__attribute__((noinline)) static void outer(void)
{
	inner();
	sink++;
}
int main(void)
{
	while (clock() < 3 * CLOCKS_PER_SEC) outer();
}
`

// inlinedProgram builds it stripped, with its debug information in a directory for that.
func inlinedProgram(t *testing.T) (program, debug string, s receiver.Settings) {
	t.Helper()
	dir := t.TempDir()
	program, debug = filepath.Join(dir, "inlining"), filepath.Join(dir, "debug")
	require.NoError(t, os.WriteFile(program+".c", []byte(inlining), 0o600))
	for _, args := range [][]string{
		{"gcc", "-O2", "-g", "-Wl,--build-id=0x0123456789abcdef" + fmt.Sprintf("%016x", os.Getpid()), "-o", program, program + ".c"},
		{"objcopy", "--only-keep-debug", program, program + ".debug"},
		{"strip", program},
	} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	s = fast()
	s.SamplesPerSecond = 499
	s.DebugDirectories = []string{debug}
	at := filepath.Join(debug, ".build-id", "01", "23456789abcdef"+fmt.Sprintf("%016x", os.Getpid())+".debug")
	require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o700))
	require.NoError(t, os.Rename(program+".debug", at))
	return program, at, s
}

// innermost counts what samples of a program say of their innermost frame.
func innermost(t *testing.T, s receiver.Settings, program string) map[string]int {
	t.Helper()
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, s, sink)
	require.NoError(t, exec.Command(program).Run())
	require.NoError(t, r.Shutdown(t.Context()))
	out := map[string]int{}
	eachSample(sink.AllProfiles(), func(_ pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		frames := userFrames(d, s)
		if len(frames) == 0 || fileOf(d, frames[0]) != program {
			return
		}
		var lines []string
		for _, line := range frames[0].Lines().All() {
			f := d.FunctionTable().At(int(line.FunctionIndex()))
			lines = append(lines, fmt.Sprintf("%s %s:%d", d.StringTable().At(int(f.NameStrindex())),
				filepath.Base(d.StringTable().At(int(f.FilenameStrindex()))), line.Line()))
		}
		out[strings.Join(lines, ", ")] += s.TimestampsUnixNano().Len()
	})
	t.Log(out)
	return out
}

// Programs in C have lines and inlined calls, of a separate debug file. The first window
// may be without.
func TestNativeFramesHaveLines(t *testing.T) {
	roottest.Need(t)
	program, _, s := inlinedProgram(t)
	got := innermost(t, s, program)
	right := got["inner inlining.c:5, outer inlining.c:9"]
	require.Greater(t, right, 499)
	require.Empty(t, wrong(got, "inner inlining.c:5, outer inlining.c:9", "outer inlining.c:10", "main inlining.c:14", "outer .:0", ""))
}

// wrong returns what is none of the names.
func wrong(got map[string]int, right ...string) (out []string) {
	for name := range got {
		if !slices.Contains(right, name) {
			out = append(out, name)
		}
	}
	return out
}

// What is switched off is left to a backend.
func TestNamesThatAreSwitchedOff(t *testing.T) {
	roottest.Need(t)
	program, debug, s := inlinedProgram(t)
	s.Names.Inline = false
	got := innermost(t, s, program)
	require.Greater(t, got["outer .:0"], 499)
	require.Empty(t, wrong(got, "outer .:0", "main .:0", ""))
	s.Names.Native = false
	got = innermost(t, s, program)
	require.Greater(t, got[""], 499)
	require.Empty(t, wrong(got, ""))
	s.Names = receiver.Names{Native: true, Inline: true}
	require.NoError(t, os.Remove(debug))
	got = innermost(t, s, program)
	require.Greater(t, got[""], 499)
	require.Empty(t, wrong(got, "", "clock@plt .:0"), "without its debug file it has no neighbour's name")
}
