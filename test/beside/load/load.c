// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/*
 * Sorts numbers a number of times and ends: a fixed amount of work below 60 calls, in
 * functions of its own. To be built without frame pointers.
 */
#include <stdlib.h>

#define NOINLINE __attribute__((noinline, noclone))
#define NUMBERS 20000

/* The largest of a heap's node and its children goes to the top. */
static NOINLINE void sift(long *heap, int at, int n)
{
	for (int child; (child = 2 * at + 1) < n; at = child) {
		long other = heap[at];

		if (child + 1 < n && heap[child] < heap[child + 1])
			child++;
		if (other >= heap[child])
			return;
		heap[at] = heap[child];
		heap[child] = other;
	}
}

static NOINLINE void sort_heap(long *heap, int n)
{
	for (int i = n / 2; i-- > 0;)
		sift(heap, i, n);
	while (--n > 0) {
		long largest = heap[0];

		heap[0] = heap[n];
		heap[n] = largest;
		sift(heap, 0, n);
	}
}

static NOINLINE void sort(long rounds)
{
	static long numbers[NUMBERS];
	unsigned last = 1;

	for (; rounds > 0; rounds--) {
		for (int i = 0; i < NUMBERS; i++)
			numbers[i] = (last = last * 1103515245 + 12345) >> 8;
		sort_heap(numbers, NUMBERS);
	}
	__asm__ volatile("" : : "r"(numbers) : "memory");
}

static NOINLINE void down(long rounds, int n)
{
	char some[40 + n % 8];

	__asm__ volatile("" : : "r"(some) : "memory");
	if (n == 0)
		sort(rounds);
	else
		down(rounds, n - 1);
	__asm__ volatile("" : : "r"(some) : "memory");
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	down(atol(argv[1]), 59);
	return 0;
}
