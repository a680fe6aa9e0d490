//go:build ignore
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Copyright The ebpf_profiler authors

#include "kernel.h"

#include <bpf/bpf_helpers.h>

/* Large enough that a few thousand copies take milliseconds, on 5.10 too. */
#define BLOCK_SIZE 16384
#define ROUNDS 4096

struct span {
	__u64 entered;
	__u64 left;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct span);
} spans SEC(".maps");

struct block {
	__u8 bytes[BLOCK_SIZE];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct block);
} blocks SEC(".maps");

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

/* A program that runs for milliseconds and says when. */
SEC("raw_tp/sched_switch")
int linger(void *ctx)
{
	__u32 first = 0, second = 1;
	struct block *to = bpf_map_lookup_elem(&blocks, &first);
	struct block *from = bpf_map_lookup_elem(&blocks, &second);
	struct span *span = bpf_map_lookup_elem(&spans, &first);
	int i;

	if (!to || !from || !span)
		return 0;
	span->entered = bpf_ktime_get_ns();
	for (i = 0; i < ROUNDS; i++)
		bpf_probe_read_kernel(to, BLOCK_SIZE, from);
	span->left = bpf_ktime_get_ns();
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
