// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/* Burns three seconds of CPU time in a function with the name a C++ compiler would give. */
#include <time.h>

int burn(int) __asm__("_ZN8workload4burnIiEEvT_");

__attribute__((noinline)) int burn(int seconds)
{
	while (clock() < seconds * CLOCKS_PER_SEC)
		for (long i = 0; i < 1000000; i++)
			__asm__ volatile("" : : "r"(i));
	return seconds;
}

int main(void)
{
	return burn(3) - 3;
}
