// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Functions of types, which compilers can describe in units of their own. Each mark is a
// symbol at an instruction whose frames the test knows.
#define MARK(name) __asm__ volatile(".globl " #name "\n" #name ": nop")

struct shape {
	int sides;

	__attribute__((always_inline)) int leaf(int n)
	{
		MARK(in_leaf); // leaf
		return n * sides;
	}

	__attribute__((always_inline)) int middle(int n)
	{
		int r = leaf(n); // middle calls leaf
		MARK(in_middle); // middle
		return r + 1;
	}

	int outer(int n);
};

__attribute__((noinline)) int shape::outer(int n)
{
	MARK(in_outer); // outer
	if (n > 7) {
		int k = n * 2;
		n += middle(k); // outer calls middle
	}
	return n;
}

int main(int argc, char **argv)
{
	shape s = {argc};
	return s.outer(argc);
}
