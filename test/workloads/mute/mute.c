// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// mute DIRECTORY burns time and keeps whoever reads its arguments waiting: it mounts a file
// system there that never answers reads, in a mount namespace of its own. One of its threads
// reads a page of that through /proc/self/mem, which holds the lock of its memory, and another
// asks to write it. It ends after some seconds.

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { seconds = 20, size = 8192 };

static void reply(int device, const struct fuse_in_header *to, int error, const void *data, size_t length)
{
	char out[4096];
	struct fuse_out_header head = {.len = sizeof head + length, .error = error, .unique = to->unique};
	memcpy(out, &head, sizeof head);
	if (length)
		memcpy(out + sizeof head, data, length);
	if (write(device, out, head.len) < 0)
		err(1, "reply");
}

static struct fuse_attr attributes(uint64_t node)
{
	int root = node == FUSE_ROOT_ID;
	return (struct fuse_attr){
		.ino = node, .nlink = 1, .mode = root ? S_IFDIR | 0755 : S_IFREG | 0644, .size = root ? 0 : size,
	};
}

static void serve(int device)
{
	static char in[1 << 20];
	const struct fuse_in_header *head = (const void *)in;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(seconds);
	while (read(device, in, sizeof in) > 0) {
		struct fuse_init_out init = {.major = 7, .minor = 31, .max_write = 65536};
		struct fuse_entry_out entry = {.nodeid = 2, .entry_valid = 99, .attr_valid = 99, .attr = attributes(2)};
		struct fuse_attr_out attr = {.attr_valid = 99, .attr = attributes(head->nodeid)};
		struct fuse_open_out opened = {.fh = 1};
		switch (head->opcode) {
		case FUSE_INIT: reply(device, head, 0, &init, sizeof init); break;
		case FUSE_LOOKUP: reply(device, head, 0, &entry, sizeof entry); break;
		case FUSE_GETATTR: reply(device, head, 0, &attr, sizeof attr); break;
		case FUSE_OPEN: reply(device, head, 0, &opened, sizeof opened); break;
		case FUSE_READ: break; // never
		default: reply(device, head, -ENOSYS, NULL, 0);
		}
	}
}

static void *page;

static void *read_it(void *unused)
{
	char c;
	if (pread(open("/proc/self/mem", O_RDONLY), &c, 1, (off_t)page) < 0)
		warn("mem");
	return unused;
}

static void *map(void *unused)
{
	usleep(200000);
	mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return unused;
}

static void run(void *(*f)(void *))
{
	pthread_t t;
	if (pthread_create(&t, NULL, f, NULL))
		errx(1, "no thread");
}

int main(int argc, char **argv)
{
	char options[100], file[4096];
	int device = open("/dev/fuse", O_RDWR);
	if (argc < 2 || device < 0)
		err(2, "/dev/fuse");
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		err(1, "namespace");
	alarm(seconds);
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	if (mount("mute", argv[1], "fuse", 0, options))
		err(1, "mount");
	if (!fork()) {
		serve(device);
		return 0;
	}
	close(device);
	snprintf(file, sizeof file, "%s/file", argv[1]);
	int f = open(file, O_RDONLY);
	if (f < 0)
		err(1, "%s", file);
	page = mmap(NULL, size, PROT_READ, MAP_PRIVATE, f, 0);
	if (page == MAP_FAILED)
		err(1, "mmap");
	run(map); // a thread cannot be made any more when the lock is held
	run(read_it);
	usleep(400000);
	if (write(1, "mute\n", 5) != 5)
		return 1;
	for (;;)
		;
}
