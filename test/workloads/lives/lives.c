// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

/*
 * Lives the lives its arguments tell, so that a test knows who burned where.
 *
 *   burn SLOT MS        burn a CPU in the function of that number
 *   sleep MS
 *   exec PATH           become PATH, which gets the words behind
 *   texec PATH          the same, from a thread that is not the first
 *   leave               end the first thread; another goes on
 *   idlers N            run and end N threads of lowest priority
 *   fork ( ... )        a child does that; wait for it
 *   at PID ( ... )      the same, with that PID, which must be free
 *   vfork ( exec ... )  the same, on our memory until it is another program
 *   orphan ( ... )      the same in a grandchild whose parent is gone
 *   zombie MS ( ... )   the same, waited for that much later
 *   into DIR            further children of "at" begin in this cgroup, of version 2
 *   join DIR            go there, of either version
 *   repeat N ( ... )
 *   pace N US ( ... )   the same, begun every so many microseconds
 *
 * Built for a fixed address of its own (-Ttext-segment), an address tells the
 * program, and a slot's function tells the life.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CAT(a, b) a##b
#define NAME(program, n) CAT(program, n)

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Almost all time passes in the inner loop, which is the slot's own. */
#define SLOT(n)                                                                  \
	static __attribute__((noinline, noclone, aligned(64))) void NAME(PROGRAM, n)(long ms) \
	{                                                                        \
		for (long end = now_ms() + ms; now_ms() < end;)                  \
			for (long i = 0; i < 50000; i++)                         \
				__asm__ volatile("" : : "r"(i), "r"(__builtin_frame_address(0))); \
	}

SLOT(_slot_0) SLOT(_slot_1) SLOT(_slot_2) SLOT(_slot_3)
SLOT(_slot_4) SLOT(_slot_5) SLOT(_slot_6) SLOT(_slot_7)
SLOT(_slot_8) SLOT(_slot_9) SLOT(_slot_10) SLOT(_slot_11)
SLOT(_slot_12) SLOT(_slot_13) SLOT(_slot_14) SLOT(_slot_15)

#define ENTRY(n) NAME(PROGRAM, n)
static void (*const slots[])(long) = {
	ENTRY(_slot_0), ENTRY(_slot_1), ENTRY(_slot_2), ENTRY(_slot_3),
	ENTRY(_slot_4), ENTRY(_slot_5), ENTRY(_slot_6), ENTRY(_slot_7),
	ENTRY(_slot_8), ENTRY(_slot_9), ENTRY(_slot_10), ENTRY(_slot_11),
	ENTRY(_slot_12), ENTRY(_slot_13), ENTRY(_slot_14), ENTRY(_slot_15),
};

/* The words from at to end, which is one behind the last. */
struct script {
	char **at, **end;
};

static int cgroup = -1;

static void live(struct script s);

static char *word(struct script *s)
{
	if (s->at == s->end)
		errx(2, "the script ends early");
	return *s->at++;
}

static long number(struct script *s)
{
	char *end, *text = word(s);
	long n = strtol(text, &end, 10);

	if (*end || end == text)
		errx(2, "%s is no number", text);
	return n;
}

/* What stands between the parenthesis that comes next and its partner. */
static struct script block(struct script *s)
{
	struct script inner;
	int depth = 1;

	if (strcmp(word(s), "("))
		errx(2, "a parenthesis is missing");
	for (inner.at = s->at; depth > 0;) {
		char *w = word(s);

		depth += !strcmp(w, "(") - !strcmp(w, ")");
	}
	inner.end = s->at - 1;
	return inner;
}

static void become(struct script s)
{
	char *path = word(&s), **arguments = calloc(s.end - s.at + 2, sizeof(*arguments));

	arguments[0] = path;
	memcpy(&arguments[1], s.at, (s.end - s.at) * sizeof(*arguments));
	execv(path, arguments);
	err(1, "exec %s", path);
}

static void wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		err(1, "wait for %d", pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		errx(1, "%d ended with status %#x", pid, status);
}

static pid_t child(struct script s)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		live(s);
		_exit(0);
	}
	return pid;
}

/* A PID is free a moment after its zombie was reaped. */
static pid_t child_at(pid_t want, struct script s)
{
	struct clone_args a = {
		.exit_signal = SIGCHLD,
		.set_tid = (unsigned long)&want,
		.set_tid_size = 1,
	};
	pid_t pid;

	if (cgroup >= 0) {
		a.flags |= CLONE_INTO_CGROUP;
		a.cgroup = cgroup;
	}
	for (int tries = 0; (pid = syscall(SYS_clone3, &a, sizeof(a))) < 0; tries++)
		if (errno != EEXIST || tries > 100000)
			err(1, "clone3 with PID %d", want);
	if (pid == 0) {
		live(s);
		_exit(0);
	}
	return pid;
}

static pid_t vchild(struct script s)
{
	pid_t pid = vfork();

	if (pid < 0)
		err(1, "vfork");
	if (pid == 0) {
		word(&s); /* exec */
		become(s);
	}
	return pid;
}

static void *rest_of_life(void *s)
{
	live(*(struct script *)s);
	exit(0);
}

static void *exec_from_thread(void *s)
{
	become(*(struct script *)s);
	return NULL;
}

static void *idle_thread(void *unused)
{
	struct sched_param p = {};

	sched_setscheduler(0, SCHED_IDLE, &p);
	return unused;
}

static void idlers(int n)
{
	pthread_t threads[64];

	if (n > 64)
		errx(2, "too many threads");
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, idle_thread, NULL))
			errx(1, "pthread_create");
	for (int i = 0; i < n; i++)
		pthread_detach(threads[i]);
}

static void in_thread(void *(*run)(void *), struct script *s)
{
	pthread_t t;

	if (pthread_create(&t, NULL, run, s))
		errx(1, "pthread_create");
}

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void do_burn(struct script *s)
{
	long slot = number(s);

	slots[slot % (sizeof(slots) / sizeof(*slots))](number(s));
}

static void do_sleep(struct script *s)
{
	sleep_ms(number(s));
}

static void do_exec(struct script *s)
{
	become(*s);
}

static void do_texec(struct script *s)
{
	in_thread(exec_from_thread, s);
	pause();
}

static void do_leave(struct script *s)
{
	static struct script rest;

	rest = *s;
	in_thread(rest_of_life, &rest);
	syscall(SYS_exit, 0);
}

static void do_idlers(struct script *s)
{
	idlers(number(s));
}

static void do_fork(struct script *s)
{
	wait_for(child(block(s)));
}

static void do_at(struct script *s)
{
	pid_t pid = number(s);

	wait_for(child_at(pid, block(s)));
}

static void do_vfork(struct script *s)
{
	wait_for(vchild(block(s)));
}

static void do_orphan(struct script *s)
{
	struct script inner = block(s);
	pid_t pid = fork();

	if (pid == 0) {
		child(inner);
		_exit(0);
	}
	wait_for(pid);
}

static void do_zombie(struct script *s)
{
	long ms = number(s);
	pid_t pid = child(block(s));

	sleep_ms(ms);
	wait_for(pid);
}

static void do_into(struct script *s)
{
	char *dir = word(s);

	if (cgroup >= 0)
		close(cgroup);
	cgroup = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		err(1, "%s", dir);
}

static void do_join(struct script *s)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", word(s));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		err(1, "%s", path);
	close(fd);
}

static void do_repeat(struct script *s)
{
	long n = number(s);

	for (struct script inner = block(s); n > 0; n--)
		live(inner);
}

static void do_pace(struct script *s)
{
	long n = number(s), us = number(s);
	struct timespec next;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (struct script inner = block(s); n > 0; n--) {
		live(inner);
		next.tv_nsec += us * 1000;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
}

static const struct {
	const char *name;
	void (*run)(struct script *);
} verbs[] = {
	{ "burn", do_burn }, { "sleep", do_sleep }, { "exec", do_exec }, { "texec", do_texec },
	{ "leave", do_leave }, { "idlers", do_idlers }, { "fork", do_fork }, { "at", do_at },
	{ "vfork", do_vfork }, { "orphan", do_orphan }, { "zombie", do_zombie }, { "into", do_into },
	{ "join", do_join },
	{ "repeat", do_repeat },
	{ "pace", do_pace },
};

static void live(struct script s)
{
	while (s.at < s.end) {
		char *verb = word(&s);
		unsigned int i = 0;

		while (i < sizeof(verbs) / sizeof(*verbs) && strcmp(verb, verbs[i].name))
			i++;
		if (i == sizeof(verbs) / sizeof(*verbs))
			errx(2, "%s is no verb", verb);
		verbs[i].run(&s);
	}
}

int main(int argc, char **argv)
{
	live((struct script){ argv + 1, argv + argc });
	return 0;
}
