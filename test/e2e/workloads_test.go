// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// sources are where the workloads come from.
const sources = "../workloads/"

// workload is a program that burns one CPU.
type workload struct {
	name    string
	command func(t testing.TB) []string
}

var (
	chainC  = workload{"C", func(t testing.TB) []string { return compileC(t, sources+"chain/chain.c") }}
	kernelC = workload{"kernel", func(t testing.TB) []string { return compileC(t, sources+"reader/reader.c") }}
	chainGo = workload{"Go", compileGo}
	loopPy  = workload{"Python", func(testing.TB) []string { return []string{"python3", sources + "pyloop/pyloop.py"} }}
)

func compileC(t testing.TB, source string) []string {
	t.Helper()
	out := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(source), ".c"))
	build(t, "gcc", "-O2", "-g", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-o", out, source)
	return []string{out}
}

func compileGo(t testing.TB) []string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "gochain")
	build(t, "go", "build", "-o", out, sources+"gochain")
	return []string{out}
}

func build(t testing.TB, command ...string) {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	require.NoError(t, err, "%s\n%s", command, out)
}

// burner is a workload that runs.
type burner struct {
	workload
	pid, cpu int
}

// burn runs a workload on one CPU until the test ends.
func burn(t testing.TB, w workload, cpu int) burner {
	t.Helper()
	roottest.Need(t)
	// taskset executes the command in its own place: its PID is the burner's.
	cmd := exec.Command("taskset", append([]string{"-c", strconv.Itoa(cpu)}, w.command(t)...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	launch(t, cmd)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	first, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, w.name)
	require.Equal(t, "ready\n", first, w.name)
	return burner{w, cmd.Process.Pid, cpu}
}

// burnAll keeps two CPUs busy until the test ends.
func burnAll(t testing.TB) []burner {
	t.Helper()
	return []burner{burn(t, chainC, 0), burn(t, chainGo, 1)}
}

// reading is what the scheduler said of a process at a moment.
type reading struct {
	at  time.Time
	ran time.Duration
	// stolen is how long the hypervisor kept the CPU for others.
	stolen time.Duration
}

// read asks the scheduler how long a process has been running. It asks again if
// it was interrupted: the time is known to a millisecond.
func (b burner) read(t testing.TB) reading {
	t.Helper()
	for range 1000 {
		before := time.Now()
		ran := b.runTime(t)
		if took := time.Since(before); took < time.Millisecond {
			return reading{before.Add(took / 2), ran, stolen(t, b.cpu)}
		}
	}
	require.FailNow(t, "the scheduler's figures could not be read in a millisecond")
	return reading{}
}

// runTime adds up the threads: /proc/PID/schedstat has only the first.
func (b burner) runTime(t testing.TB) (total time.Duration) {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", b.pid))
	require.NoError(t, err)
	require.NotEmpty(t, threads, "%s has ended", b.name)
	for _, name := range threads {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		ran, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		require.NoError(t, err)
		total += time.Duration(ran)
	}
	return total
}

// stolen is the steal time of a CPU (proc_stat(5)), in ticks of 10 ms.
func stolen(t testing.TB, cpu int) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/stat")
	require.NoError(t, err)
	_, line, found := strings.Cut(string(text), fmt.Sprintf("\ncpu%d ", cpu))
	require.True(t, found)
	ticks, err := strconv.ParseInt(strings.Fields(line)[7], 10, 64)
	require.NoError(t, err)
	return time.Duration(ticks) * 10 * time.Millisecond
}

// sinceBoot is when a process was created, in ticks of 10 ms.
func (b burner) sinceBoot(t testing.TB) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.pid))
	require.NoError(t, err)
	// The command, which may hold anything, ends at the last parenthesis; the
	// start time is field 22, 19 fields behind the one after it (proc(5)).
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	require.NoError(t, err)
	return time.Duration(ticks) * 10 * time.Millisecond
}
