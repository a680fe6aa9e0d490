// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/* A 32-bit program with frame pointers and without a library, which burns a CPU. */
#define NOINLINE __attribute__((noinline, noclone))

static NOINLINE void burn(void)
{
	for (;;)
		for (unsigned long i = 0; i < 1000000; i++)
			__asm__ volatile("" : : "r"(i), "r"(__builtin_frame_address(0)));
}

static NOINLINE void middle(void)
{
	burn();
	__asm__ volatile("");
}

void _start(void)
{
	middle();
	__asm__ volatile("");
}
