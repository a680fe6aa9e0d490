// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

// Package vm boots kernels of Debian in an emulator and runs kernel tests there:
// those that want another kernel, or a machine of their own.
package vm

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// suites are the suites of Debian whose kernels are booted.
var suites = []string{"bookworm", "trixie"}

// program is a test binary and which of its tests run in the machine.
type program struct {
	name, pkg, pattern string
}

// What measures time against a bound stays out: emulated CPUs take turns on real
// ones for milliseconds.
var programs = []program{
	{"source", "../../internal/source",
		"^(TestTheBarrier.*|TestNoBarrierIsFound|TestEverySampleTakenIsDrained|TestACPU.*|TestEverySampleHasItsLife|TestMappings.*|TestStacksAreWalked.*)$"},
	{"guest", "./guest", "."},
}

const (
	// bootTimeout bounds the whole life of a machine.
	bootTimeout = 20 * time.Minute
	// cache is where kernels are kept.
	cache = "../../_vm"
)

func TestKernels(t *testing.T) {
	for _, tool := range []string{"qemu-system-x86_64", "cpio", "busybox", "apt-get", "dpkg-deb"} {
		_, err := exec.LookPath(tool)
		require.NoError(t, err, "apt-get install qemu-system-x86 cpio busybox-static")
	}
	image := initramfs(t)
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			dir := filepath.Join(cache, suite)
			run(t, "./kernel.sh", suite, dir)
			boot(t, filepath.Join(dir, "vmlinuz"), image)
		})
	}
}

// initramfs packs the tests and what they need into the machine's only file
// system.
func initramfs(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"bin", "tests", "lives", "proc", "sys", "dev", "tmp"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	busybox, err := exec.LookPath("busybox")
	require.NoError(t, err)
	run(t, "cp", busybox, filepath.Join(root, "bin/busybox"))
	run(t, "cp", "init", filepath.Join(root, "init"))
	lives := workloads.BuildLives(t)
	deep := workloads.BuildDeep(t, "-static", "-no-pie")
	run(t, "cp", lives.Alpha, lives.Beta, deep, filepath.Join(root, "lives"))
	var list strings.Builder
	for _, p := range programs {
		run(t, "go", "test", "-c", "-tags", "vm", "-ldflags", "-s -w", "-o", filepath.Join(root, "tests", p.name), p.pkg)
		fmt.Fprintln(&list, p.name, p.pattern)
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "tests/list"), []byte(list.String()), 0o644))
	image := filepath.Join(t.TempDir(), "initramfs")
	run(t, "sh", "-c", "cd "+root+" && find . | cpio --quiet -o -H newc -R 0:0 >"+image)
	return image
}

func run(t *testing.T, command ...string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", command, out)
}

// boot runs a machine to its end and requires every program to have passed.
func boot(t *testing.T, kernel, image string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max",
		"-smp", "2", "-m", "1536", "-nographic", "-no-reboot", "-net", "none", "-kernel", kernel, "-initrd", image,
		// A lost connection to the terminal must not stop it: it has no input.
		"-append", "console=ttyS0 panic=-1 quiet loglevel=3")
	// It ends with the test, however that ends. The signal follows the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	console, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	passed := follow(t, console)
	require.NoError(t, cmd.Wait())
	var want []string
	for _, p := range programs {
		want = append(want, p.name)
	}
	require.Equal(t, want, passed, "programs that passed")
}

// follow logs what the machine says and returns the programs that passed, if it
// came to its end.
func follow(t *testing.T, console io.Reader) (passed []string) {
	t.Helper()
	ended := false
	for lines := bufio.NewScanner(console); lines.Scan(); {
		line := strings.TrimRight(lines.Text(), "\r")
		t.Log(line)
		if name, ok := strings.CutPrefix(line, "vm: passed "); ok {
			passed = append(passed, name)
		}
		ended = ended || line == "vm: end"
	}
	require.True(t, ended, "the machine did not come to its end")
	return passed
}
