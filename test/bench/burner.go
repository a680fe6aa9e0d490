// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// burnOn makes this program a burner, pinned to the CPU it names.
const burnOn = "BENCH_BURN_ON"

func init() {
	cpu, err := strconv.Atoi(os.Getenv(burnOn))
	if err != nil {
		return
	}
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	_ = unix.SchedSetaffinity(0, &set)
	parent := os.Getppid()
	for depth(20) > 0 && os.Getppid() == parent {
	}
	os.Exit(0)
}

// forkEvery makes this program start another one all the time, with a pause in
// between.
const forkEvery = "BENCH_FORK_EVERY"

func init() {
	pause, err := time.ParseDuration(os.Getenv(forkEvery))
	if err != nil {
		return
	}
	for parent := os.Getppid(); os.Getppid() == parent; {
		pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{})
		if err != nil {
			os.Exit(1)
		}
		_, _ = syscall.Wait4(pid, nil, 0, nil)
		time.Sleep(pause)
	}
	os.Exit(0)
}

// depth burns at the end of a chain of calls.
//
//go:noinline
func depth(n int) int {
	if n > 0 {
		return depth(n-1) + 1
	}
	sum := 0
	for i := range 100_000_000 {
		sum ^= i
	}
	return sum&1 + 1
}
