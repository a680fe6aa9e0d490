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

// compiled is what gcc makes of a source.
func compiled(t *testing.T, name, source string, flags ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path+".c", []byte(source), 0o600))
	runs(t, "gcc", append([]string{"-O2", "-fomit-frame-pointer", "-o", path, path + ".c"}, flags...)...)
	return path
}

// burning is a function that takes 20 ms.
const burning = `
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
`

// newCode makes a function every 20 ms, which calls one of its own. Its thread works for a
// span all the time (OTEP 4947).
const newCode = `
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
` + burning + `
struct { unsigned char trace[16], span[8], valid, flags; unsigned short size; } context = {{1}, {2}, 1};
__thread void *otel_thread_ctx_v1;
#ifdef __aarch64__ // stp x29, x30, [sp, -16]!; mov x29, sp; blr x0; ldp x29, x30, [sp], 16; ret
static const unsigned code[] = {0xa9bf7bfd, 0x910003fd, 0xd63f0000, 0xa8c17bfd, 0xd65f03c0};
#else // push rbp; mov rbp, rsp; call rdi; pop rbp; ret
static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
#endif
int main(void)
{
	volatile char room[6000]; // a copy is longer than any walk
	room[0] = 1;
	otel_thread_ctx_v1 = &context;
	long page = sysconf(_SC_PAGESIZE);
	for (int i = 0; i < 250; i++) {
		char *p = mmap(0, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return 1;
		memcpy(p, code, sizeof(code));
		if (mprotect(p, page, PROT_READ | PROT_EXEC)) // the page behind keeps them apart
			return 1;
		((void (*)(void (*)(void)))p)(burn);
	}
}
`

// Stacks go through code that was mapped after the sampler heard last of the memory, and
// what the thread works for is told beside.
func TestStacksThroughNewCode(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	program := compiled(t, "new", newCode, "-rdynamic")
	all, whole, linked := 0, 0, 0
	eachSample(profiledAsConfigured(t, 97, func() { runs(t, program) }), func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		names := userFunctions(d, s)
		if text(a, "process.executable.path").Str() != program || !slices.Contains(names, "burn") {
			return
		}
		n := s.TimestampsUnixNano().Len()
		all += n
		if names[len(names)-1] == "_start" {
			whole += n
		}
		if s.LinkIndex() > 0 {
			linked += n
		}
	})
	t.Logf("%d of %d are whole, %d linked", whole, all, linked)
	require.Greater(t, all, 97, "of 485")
	require.Greater(t, whole, all*90/100, "9 of a hundred without copies")
	require.Greater(t, linked, all/2, "all but those before the variable is found")
}

// Two libraries with other frames take each other's place every 20 ms. The program prints
// how often one lay where the one before had been.
const (
	replacedLibrary = burning + `
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
	program := compiled(t, "program", replacingProgram, "-ldl")
	var libraries []string
	for _, pad := range []int{64, 400} {
		libraries = append(libraries, compiled(t, "library.so", replacedLibrary, "-shared", "-fPIC", fmt.Sprintf("-DPAD=%d", pad)))
	}
	want := []string{"burn", "inner", "work", "middle", "main", "", "", "_start"}
	all, whole, cut, wrong := 0, 0, 0, map[string]int{}
	eachSample(profiledAsConfigured(t, 97, func() {
		out, err := exec.Command(program, libraries...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		same, err := strconv.Atoi(strings.TrimSpace(string(out)))
		require.NoError(t, err)
		require.Greater(t, same, 200, "libraries lie at one place")
	}), func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		names := userFunctions(d, s)
		i := slices.Index(names, "burn")
		if text(a, "process.executable.path").Str() != program || i < 0 {
			return // it loads or unloads a library
		}
		n := s.TimestampsUnixNano().Len()
		all += n
		switch names = names[i:]; {
		case !begins(names, want):
			wrong[strings.Join(names, " ")] += n
		case len(names) == len(want):
			whole += n
		default:
			cut += n
		}
	})
	t.Logf("%d of %d are whole, %d end early; wrong: %v", whole, all, cut, wrong)
	require.Greater(t, all, 97, "of 485")
	require.Greater(t, whole, all/10, "half of them are")
	require.Empty(t, wrong)
}

// begins reports whether want begins with names; "" is any.
func begins(names, want []string) bool {
	for i, name := range names {
		if i >= len(want) || want[i] != "" && want[i] != name {
			return false
		}
	}
	return true
}

// userFunctions are the names of the user frames, innermost first.
func userFunctions(d pprofile.ProfilesDictionary, s pprofile.Sample) (names []string) {
	for _, l := range userFrames(d, s) {
		names = append(names, functionOf(d, l))
	}
	return names
}
