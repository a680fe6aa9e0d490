// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/*
 * One thread maps two files in turn at one place while another forks. Each child
 * prints its PID and the first byte of what it has there. Arguments: the files, the
 * number of children.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACE ((char *)0x700000000000)

static int files[2];

static void map(int i)
{
	if (mmap(PLACE, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED | MAP_POPULATE, files[i], 0) != PLACE)
		err(1, "mmap");
}

static void *take_turns(void *unused)
{
	for (int i = 0;; i++) {
		map(i & 1);
		usleep(100);
	}
	return unused;
}

int main(int argc, char **argv)
{
	size_t size = 32 << 20;
	char *memory = malloc(size); /* so that a fork takes its time */
	pthread_t t;

	if (argc != 4 || !memory)
		errx(2, "usage: FILE FILE NUMBER");
	memset(memory, 1, size);
	for (int i = 0; i < 2; i++) {
		files[i] = open(argv[1 + i], O_RDONLY);
		if (files[i] < 0)
			err(1, "%s", argv[1 + i]);
	}
	map(0);
	if (pthread_create(&t, NULL, take_turns, NULL))
		errx(1, "pthread_create");
	for (int i = 0; i < atoi(argv[3]); i++) {
		pid_t pid = fork();

		if (pid == 0) {
			char line[32];
			int n = snprintf(line, sizeof(line), "%d %c\n", getpid(), *PLACE);

			_exit(write(1, line, n) != n);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			err(1, "fork");
	}
	return 0;
}
