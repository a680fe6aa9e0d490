/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copyright The ebpf_profiler authors */

/*
 * Walks user stacks by tables of rows, which user space writes into mapped memory.
 * Needs bpf_loop and bpf_task_pt_regs (since Linux 5.17 and 5.15).
 */
#ifndef UNWIND_H
#define UNWIND_H

/* What cannot be a return address: the first page, and what is not user space. */
#define MIN_ADDRESS 4096
#define MAX_ADDRESS (1ULL << 56)

/* Tables and regions lie in chunks, which user space adds as it needs them. */
struct chunk {
	__u8 bytes[CHUNK_SIZE];
};

struct chunk_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, CHUNK_SIZE);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, struct chunk_map);
} chunks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_RULES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct wire_rule);
} rules SEC(".maps");

/* By PID. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wire_space);
} spaces SEC(".maps");

#if defined(__TARGET_ARCH_x86)
#define user_ip(regs) BPF_CORE_READ(regs, ip)
#define user_sp(regs) BPF_CORE_READ(regs, sp)
#define user_fp(regs) BPF_CORE_READ(regs, bp)
#define user_lr(regs) 0
/* A 32-bit program: __USER32_CS in arch/x86/include/asm/segment.h. */
#define is_compat(regs) (BPF_CORE_READ(regs, cs) == 0x23)
#elif defined(__TARGET_ARCH_arm64)
#define user_ip(regs) BPF_CORE_READ(regs, pc)
#define user_sp(regs) BPF_CORE_READ(regs, sp)
#define user_fp(regs) BPF_CORE_READ(regs, regs[29])
#define user_lr(regs) BPF_CORE_READ(regs, regs[30])
/* A 32-bit program: PSR_MODE32_BIT in arch/arm64/include/uapi/asm/ptrace.h. */
#define is_compat(regs) (BPF_CORE_READ(regs, pstate) & 0x10)
#endif

/* The regions of a process. */
struct regions {
	__u32 chunk, first, count;
};

struct walk {
	__u64 ip, sp, fp, lr;
	__u64 at; /* an address in the instruction that the frame was left at */
	struct regions regions;
	__u32 kernel_frames, user_frames;
	__u8 end;
	__u8 exact; /* ip was interrupted there; else it is behind a call */
	__u8 leapt; /* which leaps led to a frame that is not above the one before */
};

static __always_inline struct chunk *chunk_of(__u32 index)
{
	__u32 zero = 0;
	void *inner = bpf_map_lookup_elem(&chunks, &index);

	if (!inner)
		return NULL;
	return bpf_map_lookup_elem(inner, &zero);
}

static __always_inline struct wire_region *region_at(struct chunk *chunk, __u32 index)
{
	return (void *)&chunk->bytes[(index % CHUNK_REGIONS) * sizeof(struct wire_region)];
}

/*
 * Finds the regions of the image that runs. An element of the map may be given to
 * another process while it is read, but what it leads to says whose it is, and stays
 * as it is for a grace period.
 */
static __always_inline int find_regions(struct wire_sample *sample, struct regions *found)
{
	struct wire_space *space = bpf_map_lookup_elem(&spaces, &sample->head.pid);
	struct wire_region *owner;
	struct chunk *chunk;

	if (!space)
		return -1;
	found->chunk = space->chunk;
	found->first = space->first;
	chunk = chunk_of(found->chunk);
	if (!chunk)
		return -1;
	owner = region_at(chunk, found->first);
	if (owner->start != sample->head.start || owner->end != sample->head.generation)
		return -1;
	found->first++;
	found->count = owner->base;
	return 0;
}

/* Finds the region that holds an address. */
static __noinline int find_region(struct regions *regions, __u64 address, struct wire_region *found)
{
	struct chunk *chunk = chunk_of(regions->chunk);
	__u32 low = 0, high = regions->count;
	struct wire_region *r;

	if (!chunk)
		return -1;
	for (int i = 0; i < REGION_STEPS && low < high; i++) {
		__u32 mid = (low + high) / 2;

		r = region_at(chunk, regions->first + mid);
		if (r->end > address)
			high = mid;
		else
			low = mid + 1;
	}
	if (low >= regions->count)
		return -1;
	r = region_at(chunk, regions->first + low);
	if (r->start > address || r->end <= address)
		return -1;
	*found = *r;
	return 0;
}

/* Finds the number of the rule of an address; 0: there is none. */
static __noinline int find_rule(struct wire_region *region, __u64 address)
{
	__u32 first = region->rows >> 16 & 0xffffff, low = 0, high = region->rows >> 40;
	__u64 offset = address - region->base;
	struct chunk *chunk;
	struct wire_row *row;

	if (!high || offset > 0xffffffff)
		return 0;
	chunk = chunk_of(region->rows & 0xffff);
	if (!chunk)
		return 0;
	for (int i = 0; i < ROW_STEPS && low < high; i++) {
		__u32 mid = (low + high) / 2;

		row = (void *)&chunk->bytes[((first + mid) % CHUNK_ROWS) * sizeof(*row)];
		if (row->offset <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return 0;
	row = (void *)&chunk->bytes[((first + low - 1) % CHUNK_ROWS) * sizeof(*row)];
	return row->rule;
}

static __always_inline int load_user(__u64 address, __u64 *value)
{
	return bpf_probe_read_user(value, sizeof(*value), (void *)address);
}

/* Where the caller's stack pointer is. Returns how the walk ends, or USER_TAKEN. */
static __always_inline enum wire_user_stack cfa_of(struct walk *w, struct wire_rule *rule, __u64 *cfa)
{
	__u64 offset = (__s64)rule->cfa_offset;

	switch (rule->cfa) {
	case CFA_SP:
		*cfa = w->sp + offset;
		return USER_TAKEN;
	case CFA_FP:
		*cfa = w->fp + offset;
		return USER_TAKEN;
	case CFA_DEREF_SP:
	case CFA_DEREF_SP8:
		if (load_user(w->sp + offset, cfa))
			return USER_UNREADABLE;
		break;
	case CFA_DEREF_FP:
	case CFA_DEREF_FP8:
		if (load_user(w->fp + offset, cfa))
			return USER_UNREADABLE;
		break;
	case CFA_PLT:
		*cfa = w->sp + 8 + ((w->ip & 15) >= offset ? 8 : 0);
		return USER_TAKEN;
	default:
		return USER_UNSUPPORTED;
	}
	if (rule->cfa == CFA_DEREF_SP8 || rule->cfa == CFA_DEREF_FP8)
		*cfa += 8;
	return USER_TAKEN;
}

/* The value of a register of the caller. */
static __always_inline enum wire_user_stack locate(struct walk *w, __u8 place, __s32 at, __u64 cfa,
						   __u64 same, __u64 *value)
{
	__u64 offset = (__s64)at;

	switch (place) {
	case PLACE_SAME:
		*value = same;
		return USER_TAKEN;
	case PLACE_IN_LR:
		*value = w->lr;
		return w->lr ? USER_TAKEN : USER_UNSUPPORTED; /* known of the innermost frame only */
	case PLACE_AT_CFA:
		return load_user(cfa + offset, value) ? USER_UNREADABLE : USER_TAKEN;
	case PLACE_AT_SP:
		return load_user(w->sp + offset, value) ? USER_UNREADABLE : USER_TAKEN;
	case PLACE_AT_FP:
		return load_user(w->fp + offset, value) ? USER_UNREADABLE : USER_TAKEN;
	default:
		return USER_UNSUPPORTED;
	}
}

/* What code without tables is taken to have: Go, and what is made at run time. */
static __always_inline void frame_pointer_rule(struct wire_rule *rule)
{
	*rule = (struct wire_rule){
		.cfa = CFA_FP, .cfa_offset = 16,
		.fp = PLACE_AT_CFA, .fp_offset = -16,
		.ra = PLACE_AT_CFA, .ra_offset = -8,
	};
}

/* Where the call before a return address leads. 0: not known, -1: there is none. */
static __always_inline __u64 call_before(__u64 ip)
{
#if defined(__TARGET_ARCH_x86)
	__u8 code[8];

	if (bpf_probe_read_user(code, sizeof(code), (void *)(ip - sizeof(code))))
		return -1;
	if (code[3] == 0xe8) /* with the distance to go */
		return ip + (__s32)(code[4] | code[5] << 8 | code[6] << 16 | (__u32)code[7] << 24);
	/* Through a register or memory: ff /2, with up to five bytes of address. */
	for (int i = 1; i < 7; i++)
		if (code[i] == 0xff && (code[i + 1] & 0x38) == 0x10)
			return 0;
	return -1;
#elif defined(__TARGET_ARCH_arm64)
	__u32 code;

	if (bpf_probe_read_user(&code, sizeof(code), (void *)(ip - sizeof(code))))
		return -1;
	if (code >> 26 == 0x25) /* bl */
		return ip - 4 + ((__s64)((__u64)code << 38) >> 36);
	return code >> 25 == 0x6b ? 0 : -1; /* blr, and with a signature */
#endif
}

/*
 * Says whether a frame pointer can have led from code that has no rule to its caller:
 * such code may use the register otherwise. The call has to lead to code without rules
 * or to a stub: not to this very function, which may have been jumped to.
 */
static __noinline int may_have_called(struct regions *regions, __u64 ip, __u64 at)
{
	struct wire_region region = {};
	struct wire_rule *rule;
	__u64 target;
	__u32 index;

	if (find_region(regions, at, &region) || !region.rows)
		return 1; /* made at run time: interpreters return to code that called nothing */
	target = call_before(ip);
	if (target == -1ULL)
		return 0;
	if (!target)
		return 1;
	if (find_region(regions, target, &region))
		return 1;
	index = find_rule(&region, target);
	rule = bpf_map_lookup_elem(&rules, &index);
	return rule && (rule->cfa == CFA_NO_INFO || rule->cfa == CFA_PLT);
}

/* Goes to the caller's frame. Returns how the walk ends, or USER_TAKEN. */
static __noinline int step(struct walk *w)
{
	__u64 cfa = 0, ip = 0, fp = 0;
	struct wire_region region = {};
	struct wire_rule rule = {};
	struct wire_rule *known;
	enum wire_user_stack end;
	__u32 index = 0;
	int guess;

	if (!w)
		return USER_FAILED;
	/* A return address is behind the call, which may be the last of a function. */
	w->at = w->exact ? w->ip : w->ip - 1;
	if (!find_region(&w->regions, w->at, &region))
		index = find_rule(&region, w->at);
	else if (w->user_frames > 1)
		return USER_UNMAPPED;
	known = bpf_map_lookup_elem(&rules, &index);
	if (!known)
		return USER_FAILED;
	rule = *known;
	if (rule.leap == LEAP_SIGNAL)
		w->at = w->ip; /* where a handler returns to: no call is before it */
	guess = rule.cfa == CFA_NO_INFO;
	if (guess) {
		if (w->fp < w->sp || w->fp & 7)
			return USER_NO_TABLE;
		frame_pointer_rule(&rule);
	}
	if (rule.ra == PLACE_UNDEFINED || (rule.leap == LEAP_SWITCH && !w->fp))
		return USER_COMPLETE;
	end = cfa_of(w, &rule, &cfa);
	if (end != USER_TAKEN)
		return end;
	if (cfa < w->sp || (cfa == w->sp && rule.ra != PLACE_IN_LR)) {
		if (!rule.leap || w->leapt & rule.leap)
			return USER_BAD_FRAME;
		w->leapt |= rule.leap;
	}
	end = locate(w, rule.ra, rule.ra_offset, cfa, w->lr, &ip);
	if (end != USER_TAKEN)
		return end;
	end = locate(w, rule.fp, rule.fp_offset, cfa, w->fp, &fp);
	if (end == USER_UNSUPPORTED)
		fp = 0; /* most frames up do well without */
	else if (end != USER_TAKEN)
		return end;
#if defined(__TARGET_ARCH_arm64)
	ip &= (1ULL << 48) - 1; /* without its signature */
#endif
	if (!ip)
		return USER_COMPLETE; /* where threads start, by convention */
	if (ip < MIN_ADDRESS || ip >= MAX_ADDRESS)
		return USER_BAD_FRAME;
	if (guess && !may_have_called(&w->regions, ip, w->at))
		return USER_NO_TABLE;
	w->ip = ip;
	w->sp = cfa;
	w->fp = fp;
	w->lr = 0;
	w->exact = rule.leap == LEAP_SIGNAL;
	return USER_TAKEN;
}

static long walk_frame(__u64 index, void *context)
{
	struct walk *w = context;
	struct wire_sample *sample;
	__u32 zero = 0, n;

	sample = bpf_map_lookup_elem(&scratch, &zero);
	if (!sample)
		return 1;
	n = w->kernel_frames + w->user_frames;
	if (n >= MAX_FRAMES + MAX_USER_FRAMES || w->user_frames >= MAX_USER_FRAMES) {
		w->end = USER_TRUNCATED;
		return 1;
	}
	w->user_frames++;
	w->end = step(w);
	sample->frames[n] = w->at;
	return w->end != USER_TAKEN;
}

/*
 * Walks the user stack of the current task behind the kernel frames of the sample, if
 * its tables are known.
 */
static __always_inline int walk_user_stack(struct wire_sample *sample)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct walk w = {
		.kernel_frames = sample->kernel_frames,
		.end = USER_TRUNCATED,
		.exact = 1,
	};

	if (is_compat(regs) || find_regions(sample, &w.regions))
		return 0;
	w.ip = user_ip(regs);
	w.sp = user_sp(regs);
	w.fp = user_fp(regs);
	w.lr = user_lr(regs);
	bpf_loop(MAX_USER_FRAMES + 1, walk_frame, &w, 0);
	sample->user_frames = w.user_frames;
	sample->head.user_stack = w.end;
	return 1;
}

#endif
