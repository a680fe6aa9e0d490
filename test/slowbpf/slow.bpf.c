//go:build ignore
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Copyright The ebpf_profiler authors

/*
 * Producers that stamp a record when they begin and publish it when they end,
 * milliseconds later: what a watermark is most easily wrong about.
 */
#include "../../bpf/kernel.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Only this process triggers the programs, by this system call. */
const volatile __u32 target = 0;
const volatile __u64 trigger = 0;

#define BLOCK_SIZE 16384
/* Some milliseconds of copies; many more and the verifier takes seconds. */
#define MAX_COPIES 8192

enum kind {
	RAW_TRACEPOINT,
	TRACEPOINT,
	UPROBE,
	PERF_EVENT,
	KINDS,
};

struct record {
	__u64 ktime;
	__u32 kind;
	__u32 unused;
};

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, struct ring);
} rings SEC(".maps");

/*
 * What is running on a CPU, one place per program: 0 nothing, ENTERING, or its
 * stamp. A program may find places taken by those it interrupted or preempted.
 */
#define PLACES 8
#define ENTERING 1
struct in_flight {
	__u64 places[PLACES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct in_flight);
} running SEC(".maps");

struct lost {
	__u64 no_place;
	__u64 no_room;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lost);
} losses SEC(".maps");

struct block {
	__u8 bytes[BLOCK_SIZE];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct block);
} blocks SEC(".maps");

/*
 * What interrupts this has left its place again when this goes on, so no atomic operation
 * is needed (5.10 has none that would do). What preempts this may be left without a place.
 */
static __always_inline volatile __u64 *claim(struct in_flight *f)
{
	int i;

#pragma unroll
	for (i = 0; i < PLACES; i++) {
		volatile __u64 *place = &f->places[i];

		if (!*place) {
			*place = ENTERING;
			return place;
		}
	}
	return 0;
}

static __always_inline void linger(__u32 copies)
{
	__u32 first = 0, second = 1, i;
	struct block *to = bpf_map_lookup_elem(&blocks, &first);
	struct block *from = bpf_map_lookup_elem(&blocks, &second);

	if (!to || !from)
		return;
	for (i = 0; i < MAX_COPIES && i < copies; i++)
		bpf_probe_read_kernel(to, BLOCK_SIZE, from);
}

/* Half of the programs are short, the others last up to the longest. */
static __always_inline int produce(enum kind kind, __u32 copies)
{
	__u32 cpu = bpf_get_smp_processor_id(), zero = 0;
	struct in_flight *f = bpf_map_lookup_elem(&running, &cpu);
	struct lost *lost = bpf_map_lookup_elem(&losses, &zero);
	struct record record = { .kind = kind };
	void *ring = bpf_map_lookup_elem(&rings, &cpu);
	volatile __u64 *place;

	if (!f || !ring || !lost)
		return 0;
	place = claim(f);
	if (!place) {
		__sync_fetch_and_add(&lost->no_place, 1);
		return 0;
	}
	record.ktime = bpf_ktime_get_ns();
	*place = record.ktime;
	if (bpf_get_prandom_u32() & 1)
		linger(bpf_get_prandom_u32() % copies);
	if (bpf_ringbuf_output(ring, &record, sizeof(record), 1 /* BPF_RB_NO_WAKEUP */))
		__sync_fetch_and_add(&lost->no_room, 1);
	*place = 0;
	return 0;
}

static __always_inline int by_target(void)
{
	return bpf_get_current_pid_tgid() >> 32 == target;
}

struct raw_tracepoint_args {
	__u64 args[2];
};

SEC("raw_tp/sys_enter")
int slow_raw_tracepoint(struct raw_tracepoint_args *ctx)
{
	if (!by_target() || ctx->args[1] != trigger)
		return 0;
	return produce(RAW_TRACEPOINT, MAX_COPIES);
}

struct sys_exit_args {
	__u64 common;
	__s64 id;
	__s64 ret;
};

SEC("tp/raw_syscalls/sys_exit")
int slow_tracepoint(struct sys_exit_args *ctx)
{
	if (!by_target() || ctx->id != trigger)
		return 0;
	return produce(TRACEPOINT, MAX_COPIES);
}

SEC("uprobe")
int slow_uprobe(void *ctx)
{
	return produce(UPROBE, MAX_COPIES);
}

SEC("perf_event")
int slow_perf_event(void *ctx)
{
	return produce(PERF_EVENT, MAX_COPIES / 8);
}

const struct record *unused_record __attribute__((unused));
const enum kind *unused_kind __attribute__((unused));

char LICENSE[] SEC("license") = "Dual BSD/GPL";
