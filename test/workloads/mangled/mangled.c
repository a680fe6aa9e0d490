// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/* Burns a CPU for a second in a function with the name a C++ compiler would give. */
#include <time.h>

int burn(int) __asm__("_ZN8workload4burnIiEEvT_");

__attribute__((noinline)) int burn(int seconds)
{
	time_t end = time(NULL) + seconds + 1;

	while (time(NULL) < end)
		for (long i = 0; i < 1000000; i++)
			__asm__ volatile("" : : "r"(i));
	return seconds;
}

int main(void)
{
	return burn(1) - 1;
}
