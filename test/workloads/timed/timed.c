/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The ebpf_profiler authors */

/*
 * Runs a program and writes down what the kernel accounts for it: as "timed PROGRAM..."
 * what follows, under another name the program of that name in REAL_PATH.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int main(int argc, char **argv)
{
	struct rusage used;
	char line[256];
	int status, log;
	pid_t pid;

	if (!strcmp(base(argv[0]), "timed"))
		argv++;
	else
		argv[0] = (char *)base(argv[0]);
	pid = fork();
	if (pid == 0) {
		setenv("PATH", getenv("REAL_PATH"), 1);
		execvp(argv[0], argv);
		err(127, "%s", argv[0]);
	}
	if (wait4(pid, &status, 0, &used) < 0)
		err(1, "wait");
	log = open(getenv("TIMED_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0600);
	snprintf(line, sizeof(line), "%s %d %ld\n", base(argv[0]), pid,
		 (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 + used.ru_utime.tv_usec + used.ru_stime.tv_usec);
	if (log < 0 || write(log, line, strlen(line)) < 0)
		err(1, "log");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
