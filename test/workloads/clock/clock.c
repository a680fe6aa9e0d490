/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The ebpf_profiler authors */

/* Reads the clock all the time, at the end of a chain of calls. */
#include <time.h>

#define NOINLINE __attribute__((noinline))

NOINLINE long read_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_nsec;
}

NOINLINE long watch(void)
{
	long sum = 0;

	for (;;)
		sum += read_clock();
	return sum;
}

int main(void)
{
	return watch() == 0;
}
