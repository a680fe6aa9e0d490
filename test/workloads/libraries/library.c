// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/* The pattern of the libraries: the function's name is changed in each. */
#include <time.h>

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static __attribute__((noinline, noclone)) void lib0000_burn(void)
{
	for (long end = now_us() + 2000; now_us() < end;)
		for (long i = 0; i < 20000; i++)
			__asm__ volatile("" : : "r"(i));
}

void entry(void)
{
	lib0000_burn();
	__asm__ volatile(""); /* no tail call */
}
