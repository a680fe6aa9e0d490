// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/* Spends its time in the kernel: reads zeros for ever. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Large: getting in and out of the kernel hardly counts. */
static char buffer[1 << 20];

int main(void)
{
	int fd = open("/dev/zero", O_RDONLY);

	if (fd < 0) {
		perror("/dev/zero");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	perror("read");
	return 1;
}
