// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/* Burns a CPU below the function of assembly.S that the argument names. */
#include <string.h>
#include <unistd.h>

void described(void), returning(void), undescribed(void), returning_misleading(void), misleading(void), framed(void);

__attribute__((noinline)) void burn(void)
{
	for (;;)
		for (unsigned long i = 0; i < 1000000; i++)
			__asm__ volatile("" : : "r"(i));
}

__attribute__((noinline)) void decoy(void)
{
	__asm__ volatile("nop");
}

static __attribute__((noinline)) void call(const char *name)
{
	if (!strcmp(name, "described"))
		described();
	else if (!strcmp(name, "returning"))
		returning();
	else if (!strcmp(name, "returning_misleading"))
		returning_misleading();
	else if (!strcmp(name, "undescribed"))
		undescribed();
	else if (!strcmp(name, "misleading"))
		misleading();
	else
		framed();
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	if (argc < 2 || write(1, "ready\n", 6) < 0)
		return 2;
	call(argv[1]);
	return 0;
}
