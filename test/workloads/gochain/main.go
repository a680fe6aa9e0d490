// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Command gochain burns one CPU at the end of a chain of functions, so that every
// sample of it can show the whole chain.
package main

import "fmt"

func main() {
	fmt.Println("ready")
	for link1(50_000_000) != 0 { // as good as for ever
	}
}

// The addition after the call keeps the caller on the stack.

//go:noinline
func link1(n uint64) uint64 { return link2(n) + 1 }

//go:noinline
func link2(n uint64) uint64 { return link3(n) + 1 }

//go:noinline
func link3(n uint64) uint64 { return link4(n) + 1 }

//go:noinline
func link4(n uint64) uint64 { return link5(n) + 1 }

//go:noinline
func link5(n uint64) uint64 { return link6(n) + 1 }

//go:noinline
func link6(n uint64) uint64 { return link7(n) + 1 }

//go:noinline
func link7(n uint64) uint64 { return burn(n) + 1 }

// burn is where almost all time passes. It has a frame of its own because it
// calls: a leaf without one would hide its caller from who follows frame pointers.
//
//go:noinline
func burn(n uint64) uint64 {
	x := n
	for i := range n {
		x = x*6364136223846793005 + 1442695040888963407
		if i == n-1 {
			x = last(x)
		}
	}
	return x
}

//go:noinline
func last(x uint64) uint64 { return x ^ 1 }
