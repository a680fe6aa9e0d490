// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Command cgo burns a CPU in Go, in C that Go calls, or in Go that C calls back.
package main

/*
#cgo CFLAGS: -O2 -fomit-frame-pointer
static __attribute__((noinline)) void burn(void)
{
	for (;;)
		for (unsigned long i = 0; i < 1000000; i++)
			__asm__ volatile("" : : "r"(i));
}

static __attribute__((noinline)) void link_c(int n)
{
	long some[17];

	__asm__ volatile("" : : "r"(some) : "memory");
	if (n > 1)
		link_c(n - 1);
	else
		burn();
	__asm__ volatile("" : : "r"(some) : "memory");
}

static void chain(int n)
{
	link_c(n);
	__asm__ volatile("");
}

extern void calledBack(void);

static __attribute__((noinline)) void call_back(void)
{
	calledBack();
	__asm__ volatile("");
}
*/
import "C"

import (
	"fmt"
	"os"
)

//go:noinline
func burnGo() {
	for n := 0; ; n++ {
		if n < 0 {
			return
		}
	}
}

//go:noinline
func leaf(n int) int { return n + 1 }

// loop calls a function without a frame.
//
//go:noinline
func loop() {
	for n := 0; n >= 0; {
		n = leaf(n) & 0xffff
	}
}

//go:noinline
func linkGo(n int, end func()) int {
	if n > 1 {
		return linkGo(n-1, end) + 1
	}
	end()
	return 0
}

//export calledBack
func calledBack() { linkGo(10, burnGo) }

func main() {
	fmt.Println("ready")
	ends := map[string]func(){
		"go": burnGo, "leaf": loop, "c": func() { C.chain(20) }, "callback": func() { C.call_back() },
	}
	linkGo(10, ends[os.Args[1]])
}
