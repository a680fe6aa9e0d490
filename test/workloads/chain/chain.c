// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/*
 * Burns one CPU at the end of a chain of 20 functions. Built with frame pointers
 * and without sibling calls, so that every sample can show the whole chain.
 */
#include <stdio.h>

/* The addition after the call keeps the caller on the stack. */
#define LINK(name, callee) \
	static __attribute__((noinline, noclone)) unsigned long name(unsigned long n) { return callee(n) + 1; }

/* Almost all time passes in this loop, not in the prologues. */
static __attribute__((noinline, noclone)) unsigned long chain_20(unsigned long n)
{
	unsigned long x = n;

	for (unsigned long i = 0; i < n; i++) {
		x = x * 6364136223846793005UL + 1442695040888963407UL;
		/*
		 * An effect of its own, as a pure function would be called once, that
		 * wants the frame's address: gcc gives a leaf no frame pointer else,
		 * and who follows frame pointers would miss its caller.
		 */
		__asm__ volatile("" : "+r"(x) : "r"(__builtin_frame_address(0)));
	}
	return x;
}

LINK(chain_19, chain_20)
LINK(chain_18, chain_19)
LINK(chain_17, chain_18)
LINK(chain_16, chain_17)
LINK(chain_15, chain_16)
LINK(chain_14, chain_15)
LINK(chain_13, chain_14)
LINK(chain_12, chain_13)
LINK(chain_11, chain_12)
LINK(chain_10, chain_11)
LINK(chain_09, chain_10)
LINK(chain_08, chain_09)
LINK(chain_07, chain_08)
LINK(chain_06, chain_07)
LINK(chain_05, chain_06)
LINK(chain_04, chain_05)
LINK(chain_03, chain_04)
LINK(chain_02, chain_03)
LINK(chain_01, chain_02)

int main(void)
{
	volatile unsigned long sink = 0;

	puts("ready");
	fflush(stdout);
	for (;;)
		sink += chain_01(50 * 1000 * 1000);
}
