// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/*
 * Threads that burn CPUs in functions of their own, each of which is in a span of its own:
 * function alpha of thread 2 in trace 02 02 .. and span 02 .. 'a'. In function none they are
 * in no span. The two ways of updating a context take turns. They go on until SIGUSR1. The
 * first argument is how the program ends: run, hostile, fork, or exec and a program. The
 * second is a library that publishes, if it is not linked.
 */
#include "context.h"

#include <dlfcn.h>
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 3
#define TURNS 200

static void (*publish)(struct context *);
static volatile sig_atomic_t enough;

static void be_enough(int unused)
{
	enough = 1;
}

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

#define BURNS(name)                                                        \
	__attribute__((noinline, noclone)) void name(void)                 \
	{                                                                  \
		for (long end = now_us() + 15000; now_us() < end;)         \
			for (long i = 0; i < 20000; i++)                   \
				__asm__ volatile(#name "%=:" : : "r"(i));  \
	}
BURNS(alpha)
BURNS(beta)
BURNS(none)
BURNS(hostile)

static void enter(struct context *c, int thread, char function)
{
	c->valid = 0;
	memset(c->trace, thread, sizeof(c->trace));
	memset(c->span, thread, sizeof(c->span));
	c->span[7] = function;
	c->valid = 1;
}

static void *work(void *argument)
{
	int thread = (int)(long)argument;
	static __thread struct context record, other;

	for (int i = 0; !enough; i++) {
		enter(&record, thread, 'a');
		publish(&record);
		alpha();
		if (i & 1) {
			enter(&other, thread, 'b');
			publish(&other);
		} else {
			enter(&record, thread, 'b');
		}
		beta();
		if (i & 1)
			publish(NULL);
		else
			record.valid = 0;
		none();
	}
	publish(NULL);
	return NULL;
}

/* Pointers that lead nowhere, into the kernel, to odd places and to what is no record. */
static void be_hostile(void)
{
	static uint8_t noise[64];
	static const uintptr_t bad[] = { 1, 8, 4096, -1, -8, 0xffff888000000000, 0xffffffff81000000, 0x8000000000000000, 0x7fffffffffff };

	memset(noise, 0xff, sizeof(noise));
	for (int i = 0; i < TURNS; i++) {
		if (i % 10 < 9)
			publish((void *)bad[i % 10]);
		else
			publish((void *)noise);
		hostile();
	}
	publish(NULL);
}

static void run(void)
{
	pthread_t threads[THREADS];

	enough = 0;
	alarm(60); /* nobody may be left to say so */
	for (long i = 1; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)(i + 1));
	work((void *)1);
	for (int i = 1; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "run";

#ifdef LOADS
	void *library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);

	if (!library)
		errx(1, "%s", dlerror());
	publish = (void (*)(struct context *))dlsym(library, "attach");
#else
	publish = attach;
#endif
	signal(SIGUSR1, be_enough);
	if (!strcmp(mode, "hostile")) {
		be_hostile();
		return 0;
	}
	run();
	if (!strcmp(mode, "run"))
		return 0;
	static struct context last;

	enter(&last, 9, 'x');
	publish(&last);
	if (!strcmp(mode, "fork")) {
		if (!fork()) { /* the child tells of spans of its own */
			run();
			_exit(0);
		}
		wait(NULL);
		return 0;
	}
	execv(argv[2], &argv[2]);
	err(1, "%s", argv[2]);
}
