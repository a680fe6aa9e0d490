// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/*
 * Burns a CPU for ever at the end of a chain of calls whose length is known. To be
 * built without frame pointers. Arguments: what is between the chain and the loop,
 * and the length of the chain.
 *
 *   plain      nothing
 *   qsort      a callback of the C library
 *   signal     a signal handler
 *   altstack   the same on a stack of its own
 *   aligned    a function that aligns its stack
 */
#define _GNU_SOURCE
#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

static NOINLINE void burn(void)
{
	for (;;)
		for (unsigned long i = 0; i < 1000000; i++)
			__asm__ volatile("" : : "r"(i));
}

static NOINLINE int compare(const void *a, const void *b)
{
	burn();
	return a < b;
}

static NOINLINE void handler(int unused)
{
	(void)unused;
	burn();
}

static NOINLINE void sort(void)
{
	int numbers[2] = { 2, 1 };

	qsort(numbers, 2, sizeof(*numbers), compare);
	__asm__ volatile("" : : "r"(numbers) : "memory");
}

static NOINLINE void interrupt(int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(SIGUSR1, &action, NULL);
	kill(getpid(), SIGUSR1);
	__asm__ volatile("");
}

static NOINLINE void interrupt_elsewhere(void)
{
	stack_t stack = { .ss_size = 1 << 16, .ss_sp = malloc(1 << 16) };

	if (!stack.ss_sp || sigaltstack(&stack, NULL))
		err(1, "sigaltstack");
	interrupt(SA_ONSTACK);
	__asm__ volatile("");
}

/* Its frame has a size that only it knows, below an address that is aligned. */
static NOINLINE void align(int n)
{
	char numbers[n] __attribute__((aligned(128)));

	memset(numbers, n, n);
	__asm__ volatile("" : : "r"(numbers) : "memory");
	burn();
	__asm__ volatile("" : : "r"(numbers) : "memory");
}

static void end(const char *kind)
{
	if (!strcmp(kind, "qsort"))
		sort();
	else if (!strcmp(kind, "signal"))
		interrupt(0);
	else if (!strcmp(kind, "altstack"))
		interrupt_elsewhere();
	else if (!strcmp(kind, "aligned"))
		align(1000);
	else
		burn();
	__asm__ volatile("");
}

static void odd(const char *kind, int n);

/* Two functions with frames of different sizes take turns. */
static NOINLINE void even(const char *kind, int n)
{
	char some[40 + n % 8];

	__asm__ volatile("" : : "r"(some) : "memory");
	if (n == 0)
		end(kind);
	else
		odd(kind, n - 1);
	__asm__ volatile("" : : "r"(some) : "memory");
}

static NOINLINE void odd(const char *kind, int n)
{
	long some[77];

	__asm__ volatile("" : : "r"(some) : "memory");
	if (n == 0)
		end(kind);
	else
		even(kind, n - 1);
	__asm__ volatile("" : : "r"(some) : "memory");
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: KIND LENGTH");
	even(argv[1], atoi(argv[2]) - 1);
	return 0;
}
