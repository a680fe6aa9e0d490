// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/*
 * Burns a CPU for ever at the end of a chain of calls whose length is known. To be
 * built without frame pointers. Arguments: what is between the chain and the loop,
 * and the length of the chain.
 *
 *   plain        nothing
 *   recursion    a function that calls itself 100 times
 *   qsort        a callback of the C library
 *   bsearch      another one
 *   signal       a signal handler
 *   altstack     the same on a stack of its own
 *   interrupted  a signal handler again and again, at any instruction of a function
 *                and of what it calls
 *   aligned      a function that aligns its stack
 *   ifunc        a function that is chosen at start, called again and again
 *   strlen       the same in the C library, assembly there
 *   thread       the chain is of a thread
 *   vfork        a child on the stack of its parent
 *   stubs        code made at run time, of which nothing tells, calls and is called
 *   stub         it calls the kernel again and again, and returns
 */
#define _GNU_SOURCE
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif

static NOINLINE void burn(void)
{
	for (;;)
		for (unsigned long i = 0; i < 1000000; i++)
			__asm__ volatile("" : : "r"(i));
}

static NOINLINE int compare(const void *a, const void *b)
{
	burn();
	return a < b;
}

static NOINLINE void recurse(int n)
{
	if (n > 1)
		recurse(n - 1);
	else if (n == 1)
		burn();
	__asm__ volatile("");
}

static NOINLINE void handler(int unused)
{
	(void)unused;
	burn();
}

static NOINLINE void sort(void)
{
	int numbers[2] = { 2, 1 };

	qsort(numbers, 2, sizeof(*numbers), compare);
	__asm__ volatile("" : : "r"(numbers) : "memory");
}

/* The header of the C library has its own, to be inlined. */
static void *(*volatile search_with)(const void *, const void *, size_t, size_t,
				     int (*)(const void *, const void *)) = bsearch;

static NOINLINE void search(void)
{
	int numbers[3] = { 1, 2, 3 };

	search_with(numbers, numbers, 3, sizeof(*numbers), compare);
	__asm__ volatile("" : : "r"(numbers) : "memory");
}

static NOINLINE void interrupt(int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(SIGUSR1, &action, NULL);
	kill(getpid(), SIGUSR1);
	__asm__ volatile("");
}

static NOINLINE void interrupt_elsewhere(void)
{
	stack_t stack = { .ss_size = 1 << 16, .ss_sp = malloc(1 << 16) };

	if (!stack.ss_sp || sigaltstack(&stack, NULL))
		err(1, "sigaltstack");
	interrupt(SA_ONSTACK);
	__asm__ volatile("");
}

static NOINLINE void pause_briefly(int unused)
{
	(void)unused;
	for (unsigned long i = 0; i < 1000000; i++)
		__asm__ volatile("" : : "r"(i));
}

static NOINLINE void tiny(void)
{
	__asm__ volatile("");
}

static NOINLINE void call_tiny(void)
{
	for (;;) {
		tiny();
		__asm__ volatile("");
	}
}

static NOINLINE void be_interrupted(void)
{
	struct sigaction action = { .sa_handler = pause_briefly, .sa_flags = SA_RESTART };
	struct itimerval often = { .it_interval.tv_usec = 1000, .it_value.tv_usec = 1000 };

	sigaction(SIGPROF, &action, NULL);
	setitimer(ITIMER_PROF, &often, NULL);
	call_tiny();
	__asm__ volatile("");
}

#ifdef __GLIBC__
static int chosen_here(int n)
{
	__asm__ volatile("");
	return n;
}

static int (*choose(void))(int)
{
	return chosen_here;
}

int chosen(int n) __attribute__((ifunc("choose")));

static NOINLINE void call_chosen(void)
{
	for (int n = 0;; n++) {
		int m = chosen(n);

		__asm__ volatile("" : : "r"(m));
	}
}
#endif

static NOINLINE void measure(void)
{
	char text[4096];

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = 0;
	for (;;) {
		char *hidden = text;

		__asm__ volatile("" : "+r"(hidden) : : "memory");
		unsigned long n = strlen(hidden);

		__asm__ volatile("" : : "r"(n));
	}
}

/* The parent stands still in vfork. */
static NOINLINE void spawn(void)
{
	if (!vfork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		burn();
	}
	__asm__ volatile("");
}

/* Its frame has a size that only it knows, below an address that is aligned. */
static NOINLINE void align(int n)
{
	char numbers[n] __attribute__((aligned(128)));

	memset(numbers, n, n);
	__asm__ volatile("" : : "r"(numbers) : "memory");
	burn();
	__asm__ volatile("" : : "r"(numbers) : "memory");
}

/*
 * All but the last call what they are given, as the code does that Python puts between its
 * functions. On x86 the first two keep no frame pointer, and in the second what looks like one
 * leads elsewhere. The third does something else before it returns, and keeps one. The last
 * fills memory with random numbers: it is in the kernel nearly always, about to return.
 */
#define STUBS ((char *)(1UL << 40)) /* where tests know them to be */
#define STUB(n) ((void *)(STUBS + (n) * sizeof(stub[0])))
#if defined(__x86_64__)
static const unsigned char stub[4][64] = {
	/* sub $8, %rsp; call *%rdi; add $8, %rsp; ret */
	{ 0x48, 0x83, 0xec, 0x08, 0xff, 0xd7, 0x48, 0x83, 0xc4, 0x08, 0xc3 },
	/* push %rbp; lea 16(%rsp), %rbp; call *%rdi; pop %rbp; ret */
	{ 0x55, 0x48, 0x8d, 0x6c, 0x24, 0x10, 0xff, 0xd7, 0x5d, 0xc3 },
	/* push %rbp; mov %rsp, %rbp; call *%rdi; nop; pop %rbp; ret */
	{ 0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x90, 0x5d, 0xc3 },
	/* xor %edx, %edx; mov $318, %eax; syscall; ret */
	{ 0x31, 0xd2, 0xb8, 0x3e, 0x01, 0x00, 0x00, 0x0f, 0x05, 0xc3 },
};
#elif defined(__aarch64__)
/* stp x29, x30, [sp, -16]!; mov x29, sp; blr x0; ldp x29, x30, [sp], 16; ret */
#define CALLS { 0xa9bf7bfd, 0x910003fd, 0xd63f0000, 0xa8c17bfd, 0xd65f03c0 }
static const unsigned int stub[4][16] = {
	CALLS, CALLS, CALLS,
	/* the same, with mov x2, xzr; mov w8, 278; svc 0 */
	{ 0xa9bf7bfd, 0x910003fd, 0xaa1f03e2, 0x528022c8, 0xd4000001, 0xa8c17bfd, 0xd65f03c0 },
};
#endif

static NOINLINE void make_stubs(void)
{
	char *p = mmap(STUBS, sizeof(stub), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != STUBS)
		errx(1, "mmap: not where it was wanted");
	memcpy(p, stub, sizeof(stub));
	if (mprotect(p, sizeof(stub), PROT_READ | PROT_EXEC))
		err(1, "mprotect");
	__builtin___clear_cache(p, p + sizeof(stub));
}

static NOINLINE void call_third(void)
{
	((void (*)(void (*)(void)))STUB(2))(burn);
	__asm__ volatile("");
}

static NOINLINE void call_second(void)
{
	((void (*)(void (*)(void)))STUB(1))(call_third);
	__asm__ volatile("");
}

/* Its frame can be left with the frame pointer only, which code that it calls has to keep. */
static NOINLINE void call_first(int n)
{
	char some[40 + n % 8];

	__asm__ volatile("" : : "r"(some) : "memory");
	((void (*)(void (*)(void)))STUB(0))(call_second);
	__asm__ volatile("" : : "r"(some) : "memory");
}

static NOINLINE void call_last(void)
{
	static char some[1 << 20];

	for (;;)
		((void (*)(char *, unsigned long))STUB(3))(some, sizeof(some));
}

static void end(const char *kind)
{
	if (!strcmp(kind, "qsort"))
		sort();
	else if (!strcmp(kind, "signal"))
		interrupt(0);
	else if (!strcmp(kind, "altstack"))
		interrupt_elsewhere();
	else if (!strcmp(kind, "recursion"))
		recurse(100);
	else if (!strcmp(kind, "bsearch"))
		search();
	else if (!strcmp(kind, "interrupted"))
		be_interrupted();
	else if (!strcmp(kind, "aligned"))
		align(1000);
#ifdef __GLIBC__
	else if (!strcmp(kind, "ifunc"))
		call_chosen();
#endif
	else if (!strcmp(kind, "strlen"))
		measure();
	else if (!strcmp(kind, "vfork"))
		spawn();
	else if (!strcmp(kind, "stubs")) {
		make_stubs();
		call_first(3);
	} else if (!strcmp(kind, "stub")) {
		make_stubs();
		call_last();
	} else
		burn();
	__asm__ volatile("");
}

static void odd(const char *kind, int n);

/* Two functions with frames of different sizes take turns. */
static NOINLINE void even(const char *kind, int n)
{
	char some[40 + n % 8];

	__asm__ volatile("" : : "r"(some) : "memory");
	if (n == 0)
		end(kind);
	else
		odd(kind, n - 1);
	__asm__ volatile("" : : "r"(some) : "memory");
}

static NOINLINE void odd(const char *kind, int n)
{
	long some[77];

	__asm__ volatile("" : : "r"(some) : "memory");
	if (n == 0)
		end(kind);
	else
		even(kind, n - 1);
	__asm__ volatile("" : : "r"(some) : "memory");
}

static void *thread(void *length)
{
	even("plain", (int)(long)length - 1);
	__asm__ volatile("");
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t other;

	if (argc != 3)
		errx(2, "usage: KIND LENGTH");
	/* It ends even if the test that began it was killed. */
	setrlimit(RLIMIT_CPU, &(struct rlimit){ 600, 600 });
	if (write(1, "ready\n", 6) < 0)
		err(1, "write");
	if (strcmp(argv[1], "thread")) {
		even(argv[1], atoi(argv[2]) - 1);
		return 0;
	}
	if (pthread_create(&other, NULL, thread, (void *)(long)atoi(argv[2])))
		errx(1, "pthread_create");
	pthread_join(other, NULL);
	return 0;
}
