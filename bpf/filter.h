/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copyright The ebpf_profiler authors */

/*
 * Drops the samples of processes that user space has ruled out, before anything else is
 * done for them. What is not dropped here user space judges by the same rules.
 */
#ifndef FILTER_H
#define FILTER_H

/* Whether there may be lives in the map. */
const volatile __u8 rejecting = 0;

/* How old a process has to be, in ns. */
const volatile __u64 min_age = 0;

/* Keys are whole identities, so an element says nothing of who has the PID later. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct wire_life);
	__type(value, __u8);
} rejected SEC(".maps");

static __always_inline int is_filtered(struct wire_sample *sample)
{
	struct wire_life life = {
		.start = sample->head.start,
		.generation = sample->head.generation,
		.pid = sample->head.pid,
	};

	if (min_age && sample->head.ktime - sample->birth < min_age)
		return 1;
	return rejecting && bpf_map_lookup_elem(&rejected, &life);
}

#endif
