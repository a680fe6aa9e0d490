// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// publisher HOW NAME MILLISECONDS publishes a process context (OTEP 4719) that names its
// service, and burns CPU. Half-way through it publishes "NAME again". HOW is where the header
// lies (memfd, anonymous, shared), what happens next (fork, exec), or what is wrong.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

struct header {
	char signature[8];
	uint32_t version, payload_size;
	_Atomic uint64_t published;
	void *payload;
};

static struct header *header;
static const char *how;

static int is(const char *what) { return strcmp(how, what) == 0; }

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void burn(uint64_t ns)
{
	for (uint64_t end = now() + ns; now() < end;)
		for (volatile int i = 0; i < 100000; i++)
			;
}

static uint8_t *field(uint8_t *at, int number, const void *value, size_t size)
{
	*at++ = number << 3 | 2;
	*at++ = size; // below 128 here
	memcpy(at, value, size);
	return at + size;
}

static uint8_t *attribute(uint8_t *at, const char *key, const char *value)
{
	uint8_t any[128], pair[128];
	size_t n = field(any, 1, value, strlen(value)) - any;
	uint8_t *end = field(field(pair, 1, key, strlen(key)), 2, any, n);
	return field(at, 1, pair, end - pair);
}

// encode writes ProcessContext{resource{attributes}}.
static size_t encode(uint8_t *out, const char *name)
{
	uint8_t resource[256], *end = attribute(resource, "service.name", name);
	char instance[16];
	snprintf(instance, sizeof(instance), "%d", getpid());
	end = attribute(end, "service.instance.id", instance);
	size_t n = end - resource;
	out[0] = 1 << 3 | 2;
	out[1] = n;
	memcpy(out + 2, resource, n);
	return n + 2;
}

static void *memory_of_a_file(size_t size, const void *contents, size_t n)
{
	char name[] = "/tmp/publisherXXXXXX";
	int fd = mkstemp(name);
	if (fd < 0 || ftruncate(fd, size) || write(fd, contents, n) != (ssize_t)n)
		die("file");
	unlink(name);
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

// memory_nobody_fills is anonymous memory whose faults wait for somebody in user space.
static void *memory_nobody_fills(size_t size)
{
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register r = {.range = {(uintptr_t)at, size}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &r))
		die("userfaultfd");
	return at;
}

static void *change(void *unused)
{
	uint32_t whole = header->payload_size;
	for (uint64_t k = 1;; k++) {
		header->payload_size = k % whole; // never whole
		header->published = k;
	}
	return unused;
}

static void publish(const char *name)
{
	uint8_t buf[512];
	size_t n = encode(buf, name);
	char *payload = malloc(n);
	memcpy(payload, buf, n);
	header->published = 0;
	header->version = 2;
	header->payload_size = n;
	header->payload = payload;
	if (is("huge"))
		header->payload_size = 0xffffffff;
	if (is("nowhere"))
		header->payload = (void *)0x10000;
	if (is("kernel"))
		header->payload = (void *)0xffffffff81000000;
	if (is("garbage"))
		memset(payload, 0xff, n);
	if (is("file"))
		header->payload = memory_of_a_file(4096, buf, n);
	if (is("stuck"))
		header->payload = memory_nobody_fills(4096);
	if (is("changing")) {
		pthread_t thread;
		pthread_create(&thread, NULL, change, NULL);
		while (!header->published)
			sched_yield();
	} else if (!is("torn")) {
		header->published = now();
	}
	memcpy(header->signature, "OTEL_CTX", 8);
}

static void map(void)
{
	int anonymous = is("anonymous"), shared = is("shared");
	if (anonymous || shared) {
		header = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
		if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, header, 4096, "OTEL_CTX") != 0)
			exit(errno == EINVAL ? 77 : 1); // this kernel has no such names
	} else {
		int fd = memfd_create("OTEL_CTX", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, 4096) != 0)
			die("memfd_create");
		header = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		close(fd);
	}
	madvise(header, 4096, MADV_DONTFORK);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	how = argv[1];
	uint64_t half = strtoull(argv[3], NULL, 10) * 500000ull;
	if (is("none")) {
		burn(2 * half);
		return 0;
	}
	map();
	publish(argv[2]);
	if (is("exec")) {
		burn(half);
		execl("/proc/self/exe", argv[0], "none", "", argv[3], NULL);
	}
	pid_t child = is("fork") ? fork() : -1;
	if (child == 0) {
		burn(half);
		return 0;
	}
	burn(half);
	char again[64];
	snprintf(again, sizeof(again), "%s again", argv[2]);
	if (!is("changing"))
		publish(again);
	burn(half);
	if (child > 0)
		waitpid(child, NULL, 0);
	return 0;
}
