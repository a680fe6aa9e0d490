// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/* A library whose functions are called through a procedure linkage table. */
int step(int n);

__attribute__((noinline)) int step(int n)
{
	__asm__ volatile("");
	return n + 1;
}
