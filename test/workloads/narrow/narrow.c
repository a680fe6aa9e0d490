// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/* A 32-bit program with frame pointers and without a library, which burns a CPU. */
#define NOINLINE __attribute__((noinline, noclone))

/* With a stack pointer that 64-bit programs could have. */
static NOINLINE void burn(void)
{
	char some[16] __attribute__((aligned(16)));

	for (;;)
		for (unsigned long i = 0; i < 1000000; i++)
			__asm__ volatile("" : : "r"(i), "r"(some), "r"(__builtin_frame_address(0)));
}

static NOINLINE void middle(void)
{
	burn();
	__asm__ volatile("");
}

/* It is entered by no call, so that the stack is aligned otherwise. */
__attribute__((force_align_arg_pointer)) void _start(void)
{
	middle();
	__asm__ volatile("");
}
