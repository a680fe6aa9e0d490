// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/* Pages of code that runs wherever it is mapped; each burns a CPU under a name of its own. */
#define CAT(a, b) a##b
#define NAME(pages, n) CAT(pages, n)

#define PAGE(n)                                                      \
	__attribute__((aligned(4096))) void NAME(PAGES, n)(long rounds)   \
	{                                                            \
		for (long i = 0; i < rounds; i++)                    \
			__asm__ volatile("" : : "r"(i));             \
	}

PAGE(0) PAGE(1) PAGE(2) PAGE(3)
