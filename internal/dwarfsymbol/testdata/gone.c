// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

#define TEN(x) x x x x x x x x x x
#define THOUSAND(x) TEN(TEN(TEN(x)))

// Nobody calls this, so the linker leaves it out. At address 0 it would reach over the code
// that the file begins with.
void gone(volatile int *n)
{
	TEN(TEN(TEN(*n ^= 7;)))
}

// The segment is longer than what was left out.
__attribute__((noinline)) void kept(void) // kept begins
{
	__asm__ volatile(THOUSAND(TEN("nop\n")));
} // kept ends

int main(int argc, char **argv) // main begins
{
	__asm__ volatile(THOUSAND("nop\n"));
	kept();
	return argc;
} // main ends
