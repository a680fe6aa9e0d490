// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/*
 * Makes a function at run time, says so in /tmp/perf-PID.map, and burns a CPU in it
 * for the seconds of CPU time that are its argument; then another.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Counts its argument down to 0. */
#if defined(__x86_64__)
static const unsigned char code[] = { 0x48, 0xff, 0xcf, 0x75, 0xfb, 0xc3 };
#elif defined(__aarch64__)
static const unsigned int code[] = { 0xf1000400, 0x54ffffe1, 0xd65f03c0 };
#endif

static void burn(char *place, const char *name, int seconds)
{
	char path[64];
	clock_t end = clock() + seconds * CLOCKS_PER_SEC;
	FILE *map;

	memcpy(place, code, sizeof(code));
	__builtin___clear_cache(place, place + sizeof(code));
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	map = fopen(path, "a");
	if (!map || fprintf(map, "%lx %zx %s\n", (unsigned long)place, sizeof(code), name) < 0 || fclose(map))
		err(1, "%s", path);
	while (clock() < end)
		((void (*)(long))place)(50000000);
}

int main(int argc, char **argv)
{
	char path[64], *place = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (argc != 2 || place == MAP_FAILED)
		err(1, "usage: SECONDS");
	burn(place, "first made at run time", atoi(argv[1]));
	burn(place + 64, "second made at run time", atoi(argv[1]));
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	return unlink(path);
}
