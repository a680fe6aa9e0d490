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
/* Of user frames that tables bring. */
#define MAX_USER_FRAMES 512
/* A copy of a stack: ip, sp, fp and lr, then what is at sp, page by page. */
#define COPY_REGISTERS 4
#define COPY_WORDS 2048
#define COPY_STEP 512
#define MAX_USER_WORDS (COPY_REGISTERS + COPY_WORDS + COPY_STEP)
/* Of the ids of a trace, which come first, and a span. */
#define LINK_WORDS 3

#define NO_CONTROLLER 0xffffffff

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
	/* By tables: how the walk ended. */
	USER_COMPLETE,
	USER_TRUNCATED,
	USER_NO_TABLE,
	USER_BAD_FRAME,
	USER_UNREADABLE,
	USER_UNSUPPORTED,
	USER_UNMAPPED,
	/* No frames yet: a copy of the stack. */
	USER_COPIED,
};

/* What the thread told of the span that it works for: see context.h. */
enum wire_context {
	CONTEXT_NONE,
	CONTEXT_LINKED, /* LINK_WORDS follow the frames */
	CONTEXT_UNREADABLE,
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

/*
 * Kernel frames first, then user frames, each innermost first, or words of a copy. Where
 * tables led, an address in the instruction of each frame; else return addresses, but for
 * the first. Behind them, the link.
 */
struct wire_sample {
	struct wire_head head;
	__u32 tid; /* the kernel's pid */
	__u8 kernel_frames;
	__u8 context;
	__u16 user_frames;
	__u64 birth; /* start_time of the group leader: as start, on CLOCK_MONOTONIC */
	__u32 user; /* real user id */
	__u32 unused;
	__u64 frames[MAX_FRAMES + MAX_USER_WORDS + LINK_WORDS];
};

/* Also the rows of the task iterator, which leave out the parent. */
struct wire_lifecycle {
	struct wire_head head;
	__u64 parent_start;
	__u64 parent_generation;
	__u64 cgroup; /* id in the hierarchy of version 2; 0: the kernel has none */
	__u64 legacy_cgroup; /* id in the one of version 1 that is looked at, or 0 */
	__u32 parent_pid;
	__u32 parent_threads; /* that run */
};

/*
 * One cache line per CPU. Each run of the sampler that hits anything adds one to
 * exactly one of the first five, so their sum is the number of runs.
 */
struct wire_counters {
	__u64 submitted;
	__u64 idle;
	__u64 released;
	__u64 ring_full;
	__u64 filtered;
	__u64 lifecycle_submitted;
	__u64 lifecycle_lost;
	__u64 unused;
};

/* One generation of one process. */
struct wire_life {
	__u64 start;
	__u64 generation;
	__u32 pid;
	__u32 unused;
};

/* How a frame leads to its caller's: package unwind says what the values mean. */
enum wire_cfa {
	CFA_NO_INFO,
	CFA_UNSUPPORTED,
	CFA_SP,
	CFA_FP,
	CFA_DEREF_SP,
	CFA_DEREF_FP,
	CFA_DEREF_SP8,
	CFA_DEREF_FP8,
	CFA_PLT,
};

enum wire_place {
	PLACE_UNKNOWN,
	PLACE_SAME,
	PLACE_AT_CFA,
	PLACE_AT_SP,
	PLACE_AT_FP,
	PLACE_IN_LR,
	PLACE_UNDEFINED,
};

/* Where the caller's frame may be elsewhere. Bits. */
enum wire_leap {
	LEAP_NONE,
	LEAP_SIGNAL, /* the caller was interrupted */
	LEAP_SWITCH, /* the function changes the stack */
};

struct wire_rule {
	__u8 cfa;
	__u8 fp;
	__u8 ra;
	__u8 leap;
	__s32 cfa_offset;
	__s32 fp_offset;
	__s32 ra_offset;
};

/* Rules that stay, see internal/source/rules.go. */
#define RULE_NONE 0
#define RULE_FRAME_POINTERS 2

/* Holds from an offset up to the next row's. */
struct wire_row {
	__u32 offset; /* from the base of the region */
	__u32 rule;
};

#define CHUNK_SIZE (1 << 20)
#define CHUNK_ROWS (CHUNK_SIZE / 8)
#define CHUNK_REGIONS (CHUNK_SIZE / 32)
#define MAX_RULES 16384
/* Of binary searches, each of which halves what is left of a chunk. */
#define ROW_STEPS 18
#define REGION_STEPS 16
_Static_assert(1 << ROW_STEPS > CHUNK_ROWS, "a search ends before it has found its row");
_Static_assert(1 << REGION_STEPS > CHUNK_REGIONS, "a search ends before it has found its region");

/* A part of the memory of a process and its rows; none: frame pointers. */
struct wire_region {
	__u64 start, end;
	__u64 base; /* the address that the rows' offsets count from */
	__u64 rows; /* from the low bits: 16 of the chunk, 24 of the first row, 24 of their number */
};
_Static_assert(CHUNK_ROWS < 1 << 24, "wire_region has no room for the number of a row");

/*
 * Where in a chunk the regions of a process are, ascending. The first of them is none:
 * its start and end are the start and generation of the image that they are of, its
 * base is the number of the others, its rows say where threads have their context: from
 * the low bits, 32 of a signed offset, 16 of a module, 16 of enum wire_local.
 */
struct wire_space {
	__u32 chunk;
	__u32 first;
};

/* What the offset of a thread-local variable counts from. */
enum wire_local {
	LOCAL_NONE,
	LOCAL_STATIC, /* the thread pointer */
	LOCAL_GLIBC, /* the block of the module, as the C library notes it */
	LOCAL_MUSL,
};

_Static_assert(sizeof(struct wire_head) == 48, "wire_head has padding");
_Static_assert(sizeof(struct wire_sample) == 72 + 8 * (MAX_FRAMES + MAX_USER_WORDS + LINK_WORDS), "wire_sample has padding");
_Static_assert(sizeof(struct wire_life) == 24, "wire_life has padding");
_Static_assert(sizeof(struct wire_lifecycle) == 88, "wire_lifecycle has padding");
_Static_assert(sizeof(struct wire_region) == CHUNK_SIZE / CHUNK_REGIONS, "wire_region fills a chunk");
_Static_assert(sizeof(struct wire_row) == CHUNK_SIZE / CHUNK_ROWS, "wire_row fills a chunk");
_Static_assert(sizeof(struct wire_counters) == 64, "wire_counters is a cache line");

#endif
