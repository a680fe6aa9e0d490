// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command goinline burns two seconds of CPU time in a function that is inlined into another.
package main

import "syscall"

func main() {
	sum := uint64(0)
	for seconds() < 2 {
		sum += outer(10_000_000)
	}
	println(sum)
}

// seconds are those of CPU time.
func seconds() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

//go:noinline
func outer(n uint64) uint64 { return inner(n) + 1 }

func inner(n uint64) (x uint64) {
	for range n {
		x = x*6364136223846793005 + 1442695040888963407 // the line that burns
	}
	return x
}
