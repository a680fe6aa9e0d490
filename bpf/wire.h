/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copyright The ebpf_profiler authors */

/*
 * What the programs and user space share: records in the ring buffers, rows of
 * the task iterator, counters. Natural alignment, no implicit padding, host
 * byte order.
 */
#ifndef WIRE_H
#define WIRE_H

/* kernel.perf_event_max_stack is 127 unless an administrator changed it. */
#define MAX_FRAMES 127

enum wire_kind {
	KIND_SAMPLE,
	KIND_FORK,
	KIND_EXEC,
	KIND_EXIT,
	KIND_FREE,
};

enum wire_user_stack {
	USER_TAKEN,
	USER_NONE,
	USER_EXEC,
	USER_EXIT,
	USER_FAILED,
};

/* Every record starts with whom it is about and when: ns on CLOCK_MONOTONIC. */
struct wire_head {
	__u64 ktime;
	__u64 start; /* start_boottime of the group leader, ns */
	__u64 generation; /* self_exec_id */
	__u32 pid; /* the kernel's tgid */
	__u8 kind;
	__u8 worker; /* never runs user code */
	__u8 user_stack;
	__u8 exiting; /* rows of the task iterator: every thread has begun to exit */
	char comm[16];
};

/* Kernel frames first, then user frames, each innermost first. */
struct wire_sample {
	struct wire_head head;
	__u32 tid; /* the kernel's pid */
	__u16 kernel_frames;
	__u16 user_frames;
	__u64 frames[2 * MAX_FRAMES];
};

/* Also the rows of the task iterator, which leave out the parent. */
struct wire_lifecycle {
	struct wire_head head;
	__u64 parent_start;
	__u64 parent_generation;
	__u64 cgroup; /* id in the hierarchy of version 2; 0: the kernel has none */
	__u32 parent_pid;
	__u32 parent_threads; /* that run */
};

/*
 * One cache line per CPU. Each run of the sampler that hits anything adds one to
 * exactly one of the first four, so their sum is the number of runs.
 */
struct wire_counters {
	__u64 submitted;
	__u64 idle;
	__u64 released;
	__u64 ring_full;
	__u64 lifecycle_submitted;
	__u64 lifecycle_lost;
	__u64 unused[2];
};

_Static_assert(sizeof(struct wire_head) == 48, "wire_head has padding");
_Static_assert(sizeof(struct wire_sample) == 56 + 16 * MAX_FRAMES, "wire_sample has padding");
_Static_assert(sizeof(struct wire_lifecycle) == 80, "wire_lifecycle has padding");
_Static_assert(sizeof(struct wire_counters) == 64, "wire_counters is a cache line");

#endif
