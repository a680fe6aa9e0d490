/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copyright The ebpf_profiler authors */

/*
 * The sampler of kernels without bpf_loop (before Linux 5.17): each part walks some
 * frames of a user stack and calls the next one. A tail call stays in the run of the
 * program, so all parts of a sample are in one RCU read-side section and none of
 * another sample comes between them.
 */
#ifndef TAILCALL_H
#define TAILCALL_H

/* Kernels allow 32 tail calls, some 33 (MAX_TAIL_CALL_CNT, v5.10). */
#define PARTS 32
#define PART_FRAMES (MAX_USER_FRAMES / PARTS)
_Static_assert(PARTS * PART_FRAMES == MAX_USER_FRAMES, "some frames have no part");

int walk_part(void *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} parts SEC(".maps") = {
	.values = { [0] = (void *)&walk_part },
};

SEC("perf_event")
int walk_part(void *ctx)
{
	struct wire_counters *counters = cpu_counters(bpf_get_smp_processor_id());
	__u32 zero = 0;
	struct wire_sample *sample = bpf_map_lookup_elem(&scratch, &zero);
	struct walk *w = bpf_map_lookup_elem(&walks, &zero);

	if (!counters || !sample || !w)
		return 0;
	for (int i = 0; i < PART_FRAMES; i++)
		if (walk_frame(w))
			goto end;
	bpf_tail_call(ctx, &parts, 0);
	w->end = USER_TRUNCATED;
end:
	end_walk(w, sample);
	end_sample(sample, counters);
	return 0;
}

SEC("perf_event")
int sample_cpu_in_parts(void *ctx)
{
	struct wire_counters *counters = cpu_counters(bpf_get_smp_processor_id());
	struct wire_sample *sample;
	__u32 zero = 0;
	struct walk *w = bpf_map_lookup_elem(&walks, &zero);

	if (!counters || !w)
		return 0;
	sample = begin_sample(ctx, counters);
	if (!sample)
		return 0;
	if (sample->head.user_stack == USER_TAKEN && begin_walk(w, sample))
		bpf_tail_call(ctx, &parts, 0);
	if (sample->head.user_stack == USER_TAKEN && !copy_user_stack(sample, copy_budget))
		follow_frame_pointers(ctx, sample);
	end_sample(sample, counters);
	return 0;
}

#endif
