// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package preflight checks what the profiler needs of the host, before anything
// is loaded. Each failure is one line that names the cause and the cure.
package preflight

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Check returns every failure at once.
func Check() []error { return append(Host(), Privileges()...) }

// Host returns what is wrong with the host, whoever asks.
func Host() []error {
	return failures(kernel, typeInformation, lockdown, pidNamespace, timeNamespace)
}

// Privileges returns what this process may not do.
func Privileges() []error { return failures(capabilities) }

func failures(checks ...func() error) []error {
	var errs []error
	for _, check := range checks {
		if err := check(); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Now reads CLOCK_MONOTONIC. Outside a shifted time namespace, which Check
// refuses, it is the clock of bpf_ktime_get_ns.
func Now() event.KTime {
	var t unix.Timespec
	// The call cannot fail for this clock (clock_gettime(2)).
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return event.KTime(t.Nano())
}

func kernel() error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Errorf("read the kernel's version: %w", err)
	}
	realtime, _ := os.ReadFile("/sys/kernel/realtime")
	return kernelRelease(unix.ByteSliceToString(name.Release[:]), strings.TrimSpace(string(realtime)) == "1")
}

func kernelRelease(release string, realtime bool) error {
	major, minor, err := parseRelease(release)
	switch {
	case err != nil:
		return err
	case major < 5 || major == 5 && minor < 10:
		return fmt.Errorf("kernel %s is too old: Linux 5.10 or newer is needed", release)
	case realtime && (major < 6 || major == 6 && minor < 12):
		return fmt.Errorf("kernel %s is a PREEMPT_RT kernel whose ring buffer lock sleeps: Linux 6.12 or newer is needed", release)
	}
	return nil
}

func parseRelease(release string) (major, minor int, err error) {
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 2 {
		return 0, 0, fmt.Errorf("kernel release %q has no version", release)
	}
	digits := strings.IndexFunc(parts[1]+" ", func(r rune) bool { return r < '0' || r > '9' })
	major, err = strconv.Atoi(parts[0])
	if err == nil {
		minor, err = strconv.Atoi(parts[1][:digits])
	}
	if err != nil {
		return 0, 0, fmt.Errorf("kernel release %q has no version: %w", release, err)
	}
	return major, minor, nil
}

func typeInformation() error {
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		return fmt.Errorf("the kernel's type information is missing (%w): use a kernel built with CONFIG_DEBUG_INFO_BTF=y and mount /sys", err)
	}
	return nil
}

// needed are the capabilities without which nothing works, by number
// (include/uapi/linux/capability.h). CAP_SYS_ADMIN includes the first two.
var needed = []struct {
	bit  int
	name string
}{
	{unix.CAP_BPF, "CAP_BPF"},
	{unix.CAP_PERFMON, "CAP_PERFMON"},
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
}

func capabilities() error {
	effective, err := effectiveCapabilities()
	if err != nil {
		return err
	}
	return capabilitiesIn(effective)
}

// effectiveCapabilities is a set of bits.
func effectiveCapabilities() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("read the capabilities of this process: %w", err)
	}
	return parseCapabilities(string(status))
}

func parseCapabilities(status string) (uint64, error) {
	_, rest, _ := strings.Cut(status, "\nCapEff:")
	field, _, _ := strings.Cut(rest, "\n")
	effective, err := strconv.ParseUint(strings.TrimSpace(field), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("read the capabilities of this process: %w", err)
	}
	return effective, nil
}

func capabilitiesIn(effective uint64) error {
	var missing []string
	for _, c := range needed {
		admin := c.bit != unix.CAP_SYS_PTRACE && effective&(1<<unix.CAP_SYS_ADMIN) != 0
		if effective&(1<<c.bit) == 0 && !admin {
			missing = append(missing, c.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("this process lacks %s: run as root or grant the capabilities", strings.Join(missing, ", "))
	}
	return nil
}

func lockdown() error {
	mode, err := os.ReadFile("/sys/kernel/security/lockdown")
	if err == nil && strings.Contains(string(mode), "[confidentiality]") {
		return errors.New("kernel lockdown is in confidentiality mode, which keeps BPF from reading kernel memory: boot with lockdown=integrity or none")
	}
	return nil
}

// initialPIDNamespace is PROC_PID_INIT_INO in include/linux/proc_ns.h.
const initialPIDNamespace = 0xEFFFFFFC

func pidNamespace() error {
	var stat unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &stat); err != nil {
		return fmt.Errorf("look up the PID namespace of this process: %w", err)
	}
	if stat.Ino != initialPIDNamespace {
		return errors.New("this process is in a PID namespace of its own, where PIDs mean other processes than in the kernel: run on the host, or with hostPID: true or --pid=host")
	}
	return nil
}

func timeNamespace() error {
	offsets, err := os.ReadFile("/proc/self/timens_offsets")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up the time namespace of this process: %w", err)
	}
	return timeOffsets(string(offsets))
}

// timeOffsets reads lines such as "monotonic 0 0": clock, seconds, nanoseconds.
func timeOffsets(text string) error {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 3 && (fields[1] != "0" || fields[2] != "0") {
			return fmt.Errorf("the time namespace of this process shifts the %s clock by %s s %s ns, so its clock is not the kernel's: run in the initial time namespace",
				fields[0], fields[1], fields[2])
		}
	}
	return nil
}

// SampleRate returns why the kernel will not sample that often; nil if it will.
// Beyond the limit it stops an event until the next tick
// (__perf_event_account_interrupt in kernel/events/core.c, v6.12).
func SampleRate(samplesPerSecond int) error {
	const name = "/proc/sys/kernel/perf_event_max_sample_rate"
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("look up the limit of the sampling rate: %w", err)
	}
	return sampleRate(samplesPerSecond, string(text))
}

func sampleRate(samplesPerSecond int, text string) error {
	limit, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return fmt.Errorf("look up the limit of the sampling rate: %w", err)
	}
	if samplesPerSecond > limit {
		return fmt.Errorf("samples_per_second: %d is beyond the kernel's limit, so about %d are taken and the rest counts as unfired: raise the sysctl kernel.perf_event_max_sample_rate",
			samplesPerSecond, limit)
	}
	return nil
}
