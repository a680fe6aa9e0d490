// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"bytes"
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

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// Programs that burn some seconds in functions which a runtime compiles, called outer and
// inner, and write their names down.
const (
	inJavaScript = `
function inner(n) { let s = 0; for (let i = 0; i < n; i++) s = (s * 31 + i) % 1000003; return s; }
function outer(n) { let s = 0; for (let i = 0; i < 50; i++) s += inner(n + i); return s; }
for (const end = Date.now() + 8000; Date.now() < end;) outer(20000);
`
	inPython = `
import time
def inner(n):
    s = 0
    for i in range(n): s = (s * 31 + i) % 1000003
    return s
def outer(n):
    return sum(inner(n + i) for i in range(5))
end = time.time() + 8
while time.time() < end: outer(2000)
`
	inJava = `
import java.lang.management.ManagementFactory;
import javax.management.ObjectName;
public class Burn {
	static int inner(int n) { int s = 0; for (int i = 0; i < n; i++) s = (s * 31 + i) % 1000003; return s; }
	static int outer(int n) { int s = 0; for (int i = 0; i < 50; i++) s += inner(n + i); return s; }
	static int until(long end) { int s = 0; while (System.currentTimeMillis() < end) s += outer(2000); return s; }
	public static void main(String[] args) throws Exception {
		until(System.currentTimeMillis() + 2000);
		ManagementFactory.getPlatformMBeanServer().invoke(new ObjectName("com.sun.management:type=DiagnosticCommand"), "compilerPerfmap", null, null);
		System.exit(until(System.currentTimeMillis() + 5000) & 1);
	}
}
`
)

// python312 is a Python that writes such lists, of pyenv or in PATH, "" if there is none.
func python312() string {
	var places []string
	if root, err := exec.Command("pyenv", "root").Output(); err == nil {
		places = append(places, filepath.Join(strings.TrimSpace(string(root)), "versions/3.1[2-9].*/bin"))
	}
	for _, place := range append(places, filepath.SplitList(os.Getenv("PATH"))...) {
		if found, _ := filepath.Glob(filepath.Join(place, "python3.1[2-9]")); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	return ""
}

// hasNoPython312 reports whether there is none to install: elsewhere CI must have it.
func hasNoPython312(t *testing.T) bool {
	t.Helper()
	release, err := os.ReadFile("/etc/os-release")
	require.NoError(t, err)
	_, err = exec.LookPath("pyenv")
	return err != nil && strings.Contains(string(release), "ID=debian\n") && strings.Contains(string(release), `VERSION_ID="12"`)
}

// writing is a runtime that writes names down, with a program for it.
type writing struct {
	name, file, source string
	command            []string
	frameType          string
	// inner and outer are in the names of the two functions; outer may be empty.
	inner, outer string
}

// begin starts the program in a directory, in PID and mount namespaces of its own, as in a
// container: the list has the PID that the process sees, in a /tmp that only it sees.
func (r writing) begin(t *testing.T, dir string) (wait func()) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, r.file), []byte(r.source), 0o600))
	apart := exec.Command("unshare", append([]string{"--mount", "--pid", "--fork", "--mount-proc", "sh", "-c",
		`mount -t tmpfs -o mode=1777 none /tmp && exec "$@"`, "sh"}, r.command...)...)
	var out bytes.Buffer
	apart.Dir, apart.Stderr = dir, &out
	require.NoError(t, apart.Start())
	return func() {
		err := apart.Wait()
		require.True(t, err == nil || r.name == "Java", "%v %s", err, out.String())
	}
}

func TestRuntimesThatWriteNamesDown(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	runtimes := []writing{
		{"Node", "burn.js", inJavaScript, []string{"node", "--perf-basic-prof", "--interpreted-frames-native-stack", "--no-turbo-inlining", "burn.js"}, "v8js", "inner", "outer"},
		{"Python", "burn.py", inPython, []string{python312(), "-X", "perf", "burn.py"}, "cpython", "py::inner:", "py::outer:"},
		{"Java", "Burn.java", inJava, []string{"java", "-XX:+PreserveFramePointer", "-XX:-Inline", "Burn.java"}, "jvm",
			"int Burn.inner(int)", ""}, // it writes the list once, and what it compiles later is not in it
	}
	dir, err := os.MkdirTemp("/var/tmp", "runtime") // they do not see our /tmp
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	s := fast()
	s.SamplesPerSecond = 499
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, s, sink)
	time.Sleep(5 * time.Second) // what runs already has been read
	var waits []func()
	for _, r := range runtimes {
		if _, err := exec.LookPath(r.command[0]); err == nil {
			waits = append(waits, r.begin(t, dir))
		}
	}
	for _, wait := range waits {
		wait()
	}
	require.NoError(t, r.Shutdown(t.Context()))
	for _, r := range runtimes {
		t.Run(r.name, func(t *testing.T) {
			program, err := exec.LookPath(r.command[0])
			if err != nil && r.name == "Python" && hasNoPython312(t) {
				t.Skip("Debian 12 has no Python of at least 3.12, and there is no pyenv")
			} else if err != nil {
				roottest.Lacks(t, err)
			}
			checkRuntime(t, sink.AllProfiles(), program, r.frameType, r.inner, r.outer)
		})
	}
}

// doubleMapped makes two functions in a memfd, which it maps again to run them, as .NET does.
const doubleMapped = `
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#ifdef __aarch64__
static const unsigned code[] = {0x71000400, 0x54ffffe1, 0xd65f03c0}; // 0: subs w0, w0, 1; b.ne 0b; ret
#else
static const unsigned char code[] = {0x89, 0xf8, 0xff, 0xc8, 0x75, 0xfc, 0xc3}; // mov eax, edi; 0: dec eax; jne 0b; ret
#endif
int main(void)
{
	long page = sysconf(_SC_PAGESIZE);
	int fd = memfd_create("doublemapper", 0);
	if (fd < 0 || ftruncate(fd, 2 * page))
		return 1;
	char *w = mmap(0, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memcpy(w, code, sizeof(code));
	memcpy(w + page, code, sizeof(code));
	void (*first)(int) = mmap(0, page, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	void (*second)(int) = mmap(0, page, PROT_READ | PROT_EXEC, MAP_SHARED, fd, page);
	char name[64];
	snprintf(name, sizeof(name), "/tmp/perf-%d.map", getpid());
	FILE *list = fopen(name, "w");
	if (!list)
		return 1;
	fprintf(list, "%lx %lx first\n%lx %lx second\n", (long)first, sizeof(code), (long)second, sizeof(code));
	fclose(list);
	for (time_t end = time(0) + 3; time(0) < end;) {
		first(1000000);
		second(2000000);
	}
	return unlink(name);
}
`

// Code in a memfd has the names of the list, wherever it is mapped.
func TestNamesOfCodeInAMemfd(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	program := compiled(t, "double", doubleMapped)
	names := map[string]int{}
	eachSample(profiledAsConfigured(t, 499, func() { runs(t, program) }), func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		if text(a, "process.executable.path").Str() != program {
			return
		}
		if user := userFrames(d, s); len(user) > 0 && fileOf(d, user[0]) == "/memfd:doublemapper" {
			names[functionOf(d, user[0])] += s.TimestampsUnixNano().Len()
		}
	})
	t.Logf("%v", names)
	all := 0
	for _, n := range names {
		all += n
	}
	require.Greater(t, all, 300, "of 1497")
	require.Greater(t, names["first"]+names["second"], all*95/100)
	require.InDelta(t, 2, float64(names["second"])/float64(names["first"]), 0.5)
}

// checkRuntime wants samples of inner below outer, and all names of code without a file to
// have the frame type of the runtime.
func checkRuntime(t *testing.T, all []pprofile.Profiles, program, frameType, inner, outer string) {
	t.Helper()
	real, err := filepath.EvalSymlinks(program)
	require.NoError(t, err)
	samples, both, types := 0, 0, map[string]int{}
	eachSample(all, func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		path := text(a, "process.executable.path").Str()
		if path != real && filepath.Base(path) != filepath.Base(real) {
			return
		}
		n := s.TimestampsUnixNano().Len()
		samples += n
		var names []string
		for _, l := range userFrames(d, s) {
			if fileOf(d, l) != "" || l.Lines().Len() == 0 {
				continue
			}
			names = append(names, functionOf(d, l))
			types[attribute(d, l.AttributeIndices(), "profile.frame.type")] += n
		}
		has := func(what string) func(string) bool {
			return func(name string) bool { return strings.Contains(name, what) }
		}
		if i := slices.IndexFunc(names, has(inner)); i >= 0 && (outer == "" || slices.ContainsFunc(names[i+1:], has(outer))) {
			both += n
		}
	})
	t.Logf("%d of %d samples are in %q below %q; frames by type: %v", both, samples, inner, outer, types)
	require.Greater(t, both, 100)
	require.Len(t, types, 1)
	require.Positive(t, types[frameType])
}
