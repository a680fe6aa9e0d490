// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"context"
	"flag"
	"math"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

var buildFor = flag.Duration("build-for", 8*time.Second, "how long TestTimeOfABuildByProgram builds")

// building is what a configure script and a compilation do: they run programs that live
// for milliseconds, some of which did not exist before.
const building = `
cd "$1"
while :; do
	echo "int main(void) { return $((i += 1)) * 0; }" >conftest.c
	gcc -wrapper timed -o conftest conftest.c && timed ./conftest
	grep -q main conftest.c && sed -e s/main/other/ conftest.c >other.c
	expr $i + 1 >/dev/null
	for n in 1 2 3 4 5 6 7 8 9; do echo "double f$n(double x) { for (int i = 0; i < $n; i++) x = x * x + i; return x; }"; done >code.c
	gcc -wrapper timed -O2 -c code.c
	rm -f conftest conftest.c other.c code.c code.o
done`

// The time of each program of a build is what the kernel accounts for it.
func TestTimeOfABuildByProgram(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	timed := workloads.BuildTimed(t, "grep", "sed", "expr", "rm")
	all := profiledAsConfigured(t, 997, func() {
		ctx, cancel := context.WithTimeout(t.Context(), *buildFor)
		defer cancel()
		c := exec.CommandContext(ctx, "sh", "-c", building, "sh", t.TempDir())
		c.Env = timed.Environment()
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
		_ = c.Run() // it builds until it is killed
	})
	samples := map[int]int{}
	eachSample(all, func(a pcommon.Map, _ pprofile.ProfilesDictionary, s pprofile.Sample) {
		samples[int(text(a, "process.pid").Int())] += s.TimestampsUnixNano().Len()
	})
	type total struct {
		runs, samples int
		cpu           time.Duration
	}
	by := map[string]*total{}
	for _, r := range timed.Runs(t) {
		if r.Name == "collect2" {
			continue // what it waits for, the linker, is in its time
		}
		p := by[r.Name]
		if p == nil {
			p = &total{}
			by[r.Name] = p
		}
		p.runs++
		p.cpu += r.CPU
		p.samples += samples[r.PID]
	}
	require.Greater(t, by["cc1"].runs, 10)
	require.Greater(t, by["conftest"].runs, 5)
	for name, p := range by {
		due := 997 * p.cpu.Seconds()
		off, sigma := float64(p.samples)/due-1, 1/math.Sqrt(due)
		t.Logf("%-10s %5d runs, %8v, %6d samples, %+.1f %% (sigma %.1f %%)", name, p.runs, p.cpu.Round(time.Millisecond), p.samples, 100*off, 100*sigma)
		// Five times what is aimed at: 2 %, or three sigma.
		require.Less(t, math.Abs(off), 5*max(0.02, 3*sigma), name)
	}
}
