// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/*
 * Maps the four pages of code of two files, and memory of its own, over each other and
 * burns a CPU in them while the thread has the name of what is there: a0 to b3, memfd,
 * anon, and m2 for a2 that was moved.
 *
 *   change FILE FILE OFFSET ROUNDS   all of them in turn
 *   flood FILE FILE OFFSET MS        maps so often that records of it are lost, then b0
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SIZE 4096L
#define PLACE ((char *)0x600000000000)

static int files[2];
static long offset;

/* Of the clock, or of the CPU. */
static long now_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void burn(const char *name, char *code, long ms)
{
	prctl(PR_SET_NAME, name);
	for (long end = now_ms(CLOCK_THREAD_CPUTIME_ID) + ms; now_ms(CLOCK_THREAD_CPUTIME_ID) < end;)
		((void (*)(long))code)(100000);
	prctl(PR_SET_NAME, "main");
}

static void map(char *at, int file, long page, long pages)
{
	if (mmap(at, pages * SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, files[file],
		 offset + page * SIZE) != at)
		err(1, "mmap");
}

/* What is at from, in memory without a file. */
static void map_anonymous(char *at, const char *from)
{
	if (mmap(at, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		err(1, "mmap");
	memcpy(at, from, SIZE);
	if (mprotect(at, SIZE, PROT_READ | PROT_EXEC))
		err(1, "mprotect");
}

static void map_memfd(char *at, const char *from)
{
	int fd = memfd_create("code", MFD_CLOEXEC);

	if (fd < 0 || write(fd, from, SIZE) != SIZE)
		err(1, "memfd");
	if (mmap(at, SIZE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0) != at)
		err(1, "mmap");
	close(fd);
}

static void change(long round)
{
	char *elsewhere = PLACE + (round + 1) * 16 * SIZE;

	map(PLACE, 0, 0, 4);
	burn("a0", PLACE, 100);
	burn("a3", PLACE + 3 * SIZE, 100);
	map(PLACE + SIZE, 1, 1, 1); /* splits a */
	burn("b1", PLACE + SIZE, 100);
	burn("a0", PLACE, 100);
	burn("a2", PLACE + 2 * SIZE, 100);
	if (mremap(PLACE + 2 * SIZE, 2 * SIZE, 2 * SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) != elsewhere)
		err(1, "mremap");
	burn("m2", elsewhere, 2500);
	map(PLACE + 2 * SIZE, 1, 0, 2);
	burn("b0", PLACE + 2 * SIZE, 100);
	map_memfd(PLACE, elsewhere);
	burn("memfd", PLACE, 100);
	map_anonymous(PLACE + SIZE, elsewhere);
	burn("anon", PLACE + SIZE, 100);
	map(PLACE + SIZE, 1, 3, 1);
	burn("b3", PLACE + SIZE, 100);
}

static void flood(long ms)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(sched_getcpu(), &first);
	sched_setaffinity(0, sizeof(first), &first);
	for (long end = now_ms(CLOCK_MONOTONIC) + 600; now_ms(CLOCK_MONOTONIC) < end;)
		for (int i = 0; i < 1000; i++)
			map(PLACE + (16 + (i & 1)) * SIZE, i & 1, 0, 1);
	map(PLACE, 1, 0, 1);
	burn("b0", PLACE, ms);
}

int main(int argc, char **argv)
{
	if (argc != 6)
		errx(2, "usage: change|flood FILE FILE OFFSET NUMBER");
	for (int i = 0; i < 2; i++) {
		files[i] = open(argv[2 + i], O_RDONLY | O_CLOEXEC);
		if (files[i] < 0)
			err(1, "%s", argv[2 + i]);
	}
	offset = atol(argv[4]);
	if (!strcmp(argv[1], "flood"))
		flood(atol(argv[5]));
	else
		for (long i = 0; i < atol(argv[5]); i++)
			change(i);
	return 0;
}
