// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

// Package vm boots kernels of Debian in an emulator and runs kernel tests there:
// those that want another kernel, or a machine of their own.
package vm

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// machine is what is booted: a kernel of Debian on an emulated machine.
type machine struct {
	suite, arch string
}

func (m machine) String() string { return m.suite + "-" + m.arch }

// machines are those that a change has to pass on.
var machines = []machine{
	{"bullseye", "amd64"}, // 5.10
	{"bookworm", "amd64"}, // 6.1
	{"trixie", "amd64"},   // 6.12
	{"sid", "amd64"},
	{"trixie", "arm64"},
}

// emulator is how an architecture is emulated and compiled for.
type emulator struct {
	qemu    []string
	console string
	cc      string
}

var emulators = map[string]emulator{
	"amd64": {[]string{"qemu-system-x86_64", "-cpu", "max"}, "ttyS0", "gcc"},
	// Signatures of return addresses as a real CPU has them, by a cheaper cipher.
	"arm64": {[]string{"qemu-system-aarch64", "-machine", "virt", "-cpu", "max,pauth-impdef=on"}, "ttyAMA0", "aarch64-linux-gnu-gcc"},
}

// program is a test binary and which of its tests run in the machine. What measures
// time against a bound stays out: emulated CPUs take turns on real ones for
// milliseconds.
type program struct {
	name, pkg, pattern string
	// short is for -short, on every machine; empty: on some only, as shortOn says.
	short string
}

var programs = []program{
	{"source", "../../internal/source",
		"^(TestTheBarrier.*|TestNoBarrierIsFound|TestSlow.*|TestSlewed.*|TestNoRecord.*|TestEverySampleTakenIsDrained|TestACPU.*|" +
			"TestEverySampleHasItsLife|TestTurns.*|TestReleased.*|TestMappings.*|TestStacksAreWalked.*|TestStacksOf32Bit.*|TestTables.*|TestTheVerifier.*|TestProgramSizes)$",
		"^(TestTheBarrierOfTheSourceWaits|TestNoBarrierIsFound|TestSlowProducers.*|TestNoRecordOfASamplerInPartsIsLate|" +
			"TestTurns.*|TestStacksAreWalked.*|TestStacksOf32Bit.*|TestTheVerifier.*|TestProgramSizes)$"},
	{"guest", "./guest", ".", ""},
}

// shortOn are tests of the short form by suite. Runs are skipped since Linux 7.0.
var shortOn = map[string]string{"bookworm": ".", "sid": "^TestSkipped"}

var only = flag.String("only", "", "the name of the program that is run, without the others")

// flags are those of the program on a machine; none: it is left out.
func (p program) flags(m machine) string {
	switch {
	case !testing.Short():
		return "-test.run " + p.pattern
	case p.short != "":
		return "-test.short -test.run " + p.short
	case shortOn[m.suite] != "":
		return "-test.short -test.run " + shortOn[m.suite]
	}
	return ""
}

const (
	// bootTimeout bounds the whole life of a machine.
	bootTimeout = 20 * time.Minute
	// cache is where kernels are kept.
	cache = "../../_vm"
)

func TestKernels(t *testing.T) {
	for _, tool := range []string{"qemu-system-x86_64", "qemu-system-aarch64", "aarch64-linux-gnu-gcc", "cpio", "apt-get", "dpkg-deb", "llvm-objcopy-19", "xz"} {
		_, err := exec.LookPath(tool)
		require.NoError(t, err, "apt-get install qemu-system-x86 qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross cpio llvm-19 xz-utils")
	}
	var all []*outcome
	for _, m := range machines {
		t.Run(m.String(), func(t *testing.T) {
			dir := filepath.Join(cache, m.String())
			run(t, "./kernel.sh", m.suite, m.arch, dir)
			list, want := choose(m)
			o := boot(t, emulators[m.arch], filepath.Join(dir, "vmlinuz"), initramfs(t, m.arch, dir, list))
			all = append(all, o)
			require.Equal(t, want, o.passed, "programs that passed")
		})
	}
	if *update && !t.Failed() {
		writeDocument(t, all)
	}
}

// choose lists the programs of a machine with their flags, and their names.
func choose(m machine) (list string, names []string) {
	for _, p := range programs {
		if flags := p.flags(m); flags != "" && (*only == "" || *only == p.name) {
			list += p.name + " " + flags + "\n"
			names = append(names, p.name)
		}
	}
	return list, names
}

// initramfs packs the tests and what they need into the machine's only file
// system. Busybox is in dir, list says what is run.
func initramfs(t *testing.T, arch, dir, list string) string {
	t.Helper()
	t.Setenv("GOARCH", arch)
	t.Setenv("CGO_ENABLED", "0")
	t.Setenv("CC", emulators[arch].cc)
	root := t.TempDir()
	for _, dir := range []string{"bin", "tests", "lives", "proc", "sys", "dev", "tmp"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	run(t, "cp", filepath.Join(dir, "busybox"), filepath.Join(root, "bin/busybox"))
	run(t, "cp", "init", filepath.Join(root, "init"))
	addModules(t, dir, root)
	lives := workloads.BuildLives(t)
	built := []string{lives.Alpha, lives.Beta, workloads.BuildDeep(t, "-static", "-no-pie"), workloads.BuildCaller(t)}
	if arch == "arm64" {
		built = append(built, workloads.BuildSigned(t, "-static", "-no-pie"))
	} else {
		built = append(built, workloads.BuildNarrow(t))
	}
	run(t, append(append([]string{"cp"}, built...), filepath.Join(root, "lives"))...)
	for _, p := range programs {
		run(t, "go", "test", "-c", "-tags", "vm", "-ldflags", "-s -w", "-o", filepath.Join(root, "tests", p.name), p.pkg)
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "tests/list"), []byte(list), 0o644))
	image := filepath.Join(t.TempDir(), "initramfs")
	run(t, "sh", "-c", "cd "+root+" && find . | cpio --quiet -o -H newc -R 0:0 >"+image)
	return image
}

func run(t *testing.T, command ...string) {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	require.NoError(t, err, "%s\n%s", command, out)
}

// boot runs a machine to its end.
func boot(t *testing.T, e emulator, kernel, image string) *outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootTimeout)
	defer cancel()
	arguments := append(slices.Clone(e.qemu[1:]), "-accel", "tcg,thread=multi",
		"-smp", "2", "-m", "2560", "-nographic", "-no-reboot", "-net", "none", "-kernel", kernel, "-initrd", image,
		"-append", "console="+e.console+" panic=-1 quiet loglevel=3")
	cmd := exec.CommandContext(ctx, e.qemu[0], arguments...)
	// It ends with the test, however that ends. The signal follows the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	console, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	o := follow(t, console)
	require.NoError(t, cmd.Wait())
	return o
}
