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
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// Two libraries with other frames take each other's place every 20 ms. The program prints
// how often one lay where the one before had been.
const (
	replacedLibrary = `
#include <time.h>
static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
__attribute__((noinline)) void burn(void)
{
	for (long end = now() + 20; now() < end;)
		for (volatile int i = 0; i < 10000; i++)
			;
}
__attribute__((noinline)) int inner(void) { volatile char pad[PAD]; pad[0] = 1; burn(); return pad[0]; }
__attribute__((noinline)) int work(void) { volatile char pad[PAD]; pad[1] = 1; return inner() + pad[1]; }
`
	replacingProgram = `
#include <dlfcn.h>
#include <stdio.h>
__attribute__((noinline)) int middle(int (*work)(void)) { return work() + 1; }
int main(int argc, char **argv)
{
	void *last = 0;
	int same = 0;
	for (int i = 0; i < 250; i++) {
		void *library = dlopen(argv[1 + i % (argc - 1)], RTLD_NOW);
		if (!library)
			return fputs(dlerror(), stderr), 1;
		int (*work)(void) = (int (*)(void))dlsym(library, "work");
		same += (void *)((long)work & ~4095) == last;
		last = (void *)((long)work & ~4095);
		middle(work);
		dlclose(library);
	}
	printf("%d\n", same);
}
`
)

// A stack that was walked by the tables of what was there before ends where it may be wrong.
func TestStacksThroughReplacedCode(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(at("library.c"), []byte(replacedLibrary), 0o600))
	require.NoError(t, os.WriteFile(at("program.c"), []byte(replacingProgram), 0o600))
	for i, pad := range []int{64, 400} {
		runs(t, "gcc", "-O2", "-fomit-frame-pointer", "-shared", "-fPIC", fmt.Sprintf("-DPAD=%d", pad), "-o", at(fmt.Sprintf("%d.so", i)), at("library.c"))
	}
	runs(t, "gcc", "-O2", "-fomit-frame-pointer", "-o", at("program"), at("program.c"), "-ldl")
	whole := []string{"burn", "inner", "work", "middle", "main", "", "", "_start"}
	all, complete, cut, wrong := 0, 0, 0, map[string]int{}
	eachSample(profiledAsConfigured(t, 97, func() {
		out, err := exec.Command(at("program"), at("0.so"), at("1.so")).CombinedOutput()
		require.NoError(t, err, "%s", out)
		same, err := strconv.Atoi(strings.TrimSpace(string(out)))
		require.NoError(t, err)
		require.Greater(t, same, 200, "libraries lie at one place")
	}), func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		if text(a, "process.executable.path").Str() != at("program") {
			return
		}
		var names []string
		for _, l := range userFrames(d, s) {
			names = append(names, functionOf(d, l))
		}
		n := s.TimestampsUnixNano().Len()
		i := slices.Index(names, "burn")
		if i < 0 {
			return // it loads or unloads a library
		}
		names = names[i:]
		all += n
		for i, name := range names {
			if i >= len(whole) || whole[i] != "" && whole[i] != name {
				wrong[strings.Join(names, " ")] += n
				return
			}
		}
		if len(names) == len(whole) {
			complete += n
		} else {
			cut += n
		}
	})
	t.Logf("%d of %d are whole, %d end early; wrong: %v", complete, all, cut, wrong)
	require.Greater(t, all, 97, "of 485")
	require.Empty(t, wrong)
}
