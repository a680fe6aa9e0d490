// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/* Calls a function of a library again and again: many samples are in the stub. */
#include <unistd.h>

int step(int n);

static __attribute__((noinline)) int call_step(void)
{
	int n = 0;

	for (;;)
		n = step(n);
}

int main(void)
{
	if (write(1, "ready\n", 6) < 0)
		return 1;
	return call_step() + 1;
}
