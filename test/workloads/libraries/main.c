// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/*
 * Loads the libraries of a directory in turn, each in place of the one before, and
 * burns a CPU in each while the thread has its name. Prints how many lay where the
 * one before had lain.
 */
#include <dlfcn.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	int again = 0;

	if (argc != 3)
		errx(2, "usage: DIRECTORY NUMBER");
	for (int i = 0; i < atoi(argv[2]); i++) {
		char path[4096], name[16];
		void (*entry)(void);
		static void *last;
		void *library;

		snprintf(name, sizeof(name), "lib%04d", i);
		snprintf(path, sizeof(path), "%s/%s.so", argv[1], name);
		library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		if (!library)
			errx(1, "%s", dlerror());
		entry = (void (*)(void))dlsym(library, "entry");
		if (!entry)
			errx(1, "%s", dlerror());
		again += (void *)entry == last;
		last = (void *)entry;
		prctl(PR_SET_NAME, name);
		entry();
		prctl(PR_SET_NAME, "main");
		dlclose(library);
	}
	printf("%d\n", again);
	return 0;
}
