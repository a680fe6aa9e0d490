// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/demangle"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// inlining burns three seconds of CPU time in a function that is inlined.
const inlining = `#include <time.h>
static volatile unsigned long sink;
static inline __attribute__((always_inline)) void inner(void)
{
	for (int i = 0; i < 100000000; i++) sink += i; // here
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
		out[strings.Join(linesOf(d, frames[0]), ", ")] += s.TimestampsUnixNano().Len()
	})
	t.Log(out)
	return out
}

// Programs in C have lines and inlined calls, of a separate debug file. The first window
// may be without.
func TestNativeFramesHaveLines(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	program, _, s := inlinedProgram(t)
	got := innermost(t, s, program)
	right := got["inner inlining.c:5, outer inlining.c:9"]
	require.Greater(t, right, 499)
	require.Empty(t, wrong(got, "inner inlining.c:5, outer inlining.c:9", "outer inlining.c:10", "main inlining.c:14", "outer .:0", "_start .:0", ""))
}

const inlinedCXX = `#include <ctime>
static volatile unsigned long sink;
namespace work {
template <int n> struct box {
	inline __attribute__((always_inline)) void inner()
	{
		for (int i = 0; i < n; i++) sink = sink + i; // here
	}
};
__attribute__((noinline)) void outer(int)
{
	box<1000000>().inner(); // outer
	sink = sink + 1;
}
} // namespace work
int main() { while (clock() < 3 * CLOCKS_PER_SEC) work::outer(1); }
`

const inlinedRust = `extern "C" { fn clock() -> std::os::raw::c_long; }
#[inline(always)]
fn inner(mut s: u64) -> u64 {
    for i in 0..1_000_000u64 { s = unsafe { std::ptr::read_volatile(&(s ^ i)) }; } // here
    s
}
#[inline(never)]
fn outer(s: u64) -> u64 {
    inner(s) + 1 // outer
}
fn main() {
    let mut s = 0;
    while unsafe { clock() } < 3_000_000 { s = outer(s); }
    println!("{}", s);
}
`

// C++ and Rust, of both schemes of mangling, have readable names, lines and inlined calls,
// and Rust is told from other native code.
func TestInlinedCallsByLanguage(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	for name, c := range map[string]struct {
		source       string
		compile      []string
		inner, outer string
		mangled      string // the beginning of the symbol of outer
		frameType    string
	}{
		"C++": {inlinedCXX, []string{"g++", "-O2", "-g", "-x", "c++"}, "work::box::inner", "work::outer", "_ZN4work5outerEi", "native"},
		"Rust, legacy": {inlinedRust, []string{"rustc", "-O", "-g", "--crate-name=work", "-Zunstable-options", "-Csymbol-mangling-version=legacy"},
			"work::inner", "work::outer", "_ZN4work5outer17h", "rust"},
		"Rust, v0": {inlinedRust, []string{"rustc", "-O", "-g", "--crate-name=work", "-Csymbol-mangling-version=v0"},
			"work::inner", "work::outer", "_RNvC", "rust"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			program := filepath.Join(dir, "work")
			require.NoError(t, os.WriteFile(program+".src", []byte(c.source), 0o600))
			compile := exec.Command(c.compile[0], append(c.compile[1:], "-o", program, program+".src")...)
			compile.Env = append(os.Environ(), "RUSTC_BOOTSTRAP=1") // for the scheme of before
			out, err := compile.CombinedOutput()
			require.NoError(t, err, string(out))
			s := fast()
			s.SamplesPerSecond, s.Demangle = 499, demangle.Simplified
			sink := &consumertest.ProfilesSink{}
			r := startKernel(t, s, sink)
			require.NoError(t, exec.Command(program).Run())
			require.NoError(t, r.Shutdown(t.Context()))
			inner := fmt.Sprintf("%s work.src:%d", c.inner, lineWith(c.source, "// here"))
			outer := fmt.Sprintf("%s work.src:%d", c.outer, lineWith(c.source, "// outer"))
			right, other := 0, map[string]int{}
			eachSample(sink.AllProfiles(), func(_ pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
				frames := userFrames(d, s)
				if len(frames) == 0 || fileOf(d, frames[0]) != program || frames[0].Lines().Len() == 0 {
					return
				}
				lines, n := linesOf(d, frames[0]), s.TimestampsUnixNano().Len()
				last := frames[0].Lines().At(frames[0].Lines().Len() - 1)
				system := d.StringTable().At(int(d.FunctionTable().At(int(last.FunctionIndex())).SystemNameStrindex()))
				if len(lines) < 2 || lines[len(lines)-2] != inner || lines[len(lines)-1] != outer {
					other[strings.Join(lines, ", ")] += n
					return
				}
				require.True(t, strings.HasPrefix(system, c.mangled), system)
				require.Equal(t, c.frameType, attribute(d, frames[0].AttributeIndices(), "profile.frame.type"))
				right += n
			})
			t.Log(right, "in", inner, outer, other)
			require.Greater(t, right, 100)
		})
	}
}

// lineWith is the number of the line that ends in a comment.
func lineWith(source, comment string) int {
	for i, line := range strings.Split(source, "\n") {
		if strings.HasSuffix(line, comment) {
			return i + 1
		}
	}
	return 0
}

// linesOf are the functions of a location with their files and lines.
func linesOf(d pprofile.ProfilesDictionary, l pprofile.Location) (out []string) {
	for _, line := range l.Lines().All() {
		f := d.FunctionTable().At(int(line.FunctionIndex()))
		out = append(out, fmt.Sprintf("%s %s:%d", d.StringTable().At(int(f.NameStrindex())),
			filepath.Base(d.StringTable().At(int(f.FilenameStrindex()))), line.Line()))
	}
	return out
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
	roottest.InTime(t)
	roottest.Need(t)
	program, debug, s := inlinedProgram(t)
	s.Names.Inline = false
	got := innermost(t, s, program)
	require.Greater(t, got["outer .:0"], 499)
	require.Empty(t, wrong(got, "outer .:0", "main .:0", "_start .:0", ""))
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

// The kernel, Go and code made at run time are switched off one by one.
func TestKindsThatAreSwitchedOff(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	golang, _ := workloads.BuildGoInline(t)
	made := workloads.BuildJIT(t)
	for name, c := range map[string]struct {
		off       func(*receiver.Names)
		command   []string
		file      string // of the innermost frame
		frameType string
	}{
		"kernel": {func(n *receiver.Names) { n.Kernel = false }, []string{"dd", "if=/dev/zero", "of=/dev/null", "bs=1M", "count=200000"}, "[kernel.kallsyms]", "kernel"},
		"Go":     {func(n *receiver.Names) { n.Go = false }, []string{golang}, golang, "go"},
		"JIT":    {func(n *receiver.Names) { n.JIT = false }, []string{made, "2"}, "", "native"},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := exec.LookPath(c.command[0])
			require.NoError(t, err)
			program, err = filepath.EvalSymlinks(program)
			require.NoError(t, err)
			named := map[bool]int{}
			for _, on := range []bool{true, false} {
				s := fast()
				s.SamplesPerSecond = 499
				if !on {
					c.off(&s.Names)
				}
				sink := &consumertest.ProfilesSink{}
				r := startKernel(t, s, sink)
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				command := exec.CommandContext(ctx, program, c.command[1:]...)
				_ = command.Run() // or it is killed
				cancel()
				_ = os.Remove(fmt.Sprintf("/tmp/perf-%d.map", command.Process.Pid))
				require.NoError(t, r.Shutdown(t.Context()))
				all := 0
				eachSample(sink.AllProfiles(), func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
					stack := d.StackTable().At(int(s.StackIndex())).LocationIndices()
					if text(a, "process.executable.path").Str() != program || stack.Len() == 0 {
						return
					}
					l := d.LocationTable().At(int(stack.At(0)))
					if fileOf(d, l) != c.file || attribute(d, l.AttributeIndices(), "profile.frame.type") != c.frameType {
						return
					}
					all += s.TimestampsUnixNano().Len()
					if l.Lines().Len() > 0 {
						named[on] += s.TimestampsUnixNano().Len()
					}
				})
				t.Log(on, named[on], "named of", all)
				require.Greater(t, all, 200)
			}
			require.Greater(t, named[true], 100)
			require.Zero(t, named[false])
		})
	}
}
