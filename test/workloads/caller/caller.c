// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/* Calls for ever what a test has attached a program to: getppid or probed. */
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((noinline, noclone)) void probed(void)
{
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	int probe = argc > 1 && !strcmp(argv[1], "probed");

	/* It ends even if the test that began it was killed. */
	setrlimit(RLIMIT_CPU, &(struct rlimit){ 600, 600 });
	for (;;) {
		if (probe)
			probed();
		else
			syscall(SYS_getppid);
	}
}
