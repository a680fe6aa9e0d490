// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Command goinline burns a CPU for some seconds in a function that is inlined into
// another.
package main

import "time"

func main() {
	sum := uint64(0)
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		sum += outer(1_000_000)
	}
	println(sum)
}

//go:noinline
func outer(n uint64) uint64 { return inner(n) + 1 }

func inner(n uint64) (x uint64) {
	for range n {
		x = x*6364136223846793005 + 1442695040888963407 // the line that burns
	}
	return x
}
