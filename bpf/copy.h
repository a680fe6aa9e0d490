/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copyright The ebpf_profiler authors */

/*
 * Copies what is in use of a user stack, for user space to walk: of processes whose
 * tables the sampler does not have yet, and where it came to code that has been mapped
 * since.
 */
#ifndef COPY_H
#define COPY_H

/* Bytes of stack that each CPU may copy in a slice of 2^27 ns: an eighth of a second. */
const volatile __u32 copy_budget = 0;

struct copied {
	__u64 slice; /* that bytes are of */
	__u64 bytes;
};

/* The sampler alone uses it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct copied);
} copied SEC(".maps");

/* What the CPU has copied in this slice; NULL: as much as the limit. */
static __always_inline struct copied *copy_allowance(__u64 now, __u32 limit)
{
	__u64 slice = now >> 27;
	struct copied *spent;
	__u32 zero = 0;

	spent = bpf_map_lookup_elem(&copied, &zero);
	if (!spent)
		return NULL;
	if (spent->slice != slice) {
		spent->slice = slice;
		spent->bytes = 0;
	}
	return spent->bytes < limit ? spent : NULL;
}

/*
 * Copies the stack up to its end, or until COPY_WORDS are there. Returns how many words
 * that is. A read that crosses into a page that is not there fails as a whole.
 */
static __always_inline __u32 copy_words(__u64 *to, __u64 sp)
{
	__u32 words = 0;

	for (int i = 0; i <= COPY_WORDS / COPY_STEP; i++) {
		__u32 n = COPY_STEP - (sp / 8 & (COPY_STEP - 1));

		barrier_var(words);
		if (words >= COPY_WORDS || bpf_probe_read_user(to + words, n * 8, (void *)sp))
			break;
		words += n;
		sp += n * 8;
	}
	return words;
}

/*
 * Copies the user stack behind the kernel frames of the sample, if the CPU has copied less
 * than the limit in this slice. User frames that were there may be gone if it fails.
 */
static __always_inline int copy_user_stack(struct wire_sample *sample, __u32 limit)
{
	struct copied *spent = copy_allowance(sample->head.ktime, limit);
	struct pt_regs *regs = saved_registers();
	__u64 sp = user_sp(regs);
	__u32 words;
	__u64 *to;

	if (!spent || !is_user(regs) || is_compat(regs) || sp & 7)
		return 0;
	to = &sample->frames[sample->kernel_frames & MAX_FRAMES];
	barrier_var(to);
	to[0] = user_ip(regs);
	to[1] = sp;
	to[2] = user_fp(regs);
	to[3] = user_lr(regs);
	sample->user_frames = 0;
	words = copy_words(to + COPY_REGISTERS, sp);
	if (!words)
		return 0;
	spent->bytes += words * 8;
	sample->user_frames = COPY_REGISTERS + words;
	sample->head.user_stack = USER_COPIED;
	return 1;
}

_Static_assert((MAX_FRAMES & (MAX_FRAMES + 1)) == 0, "MAX_FRAMES is a mask");

#endif
