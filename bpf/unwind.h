/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copyright The ebpf_profiler authors */

/*
 * Walks user stacks by tables of rows, which user space writes into mapped memory: frame
 * by frame in bpf_loop (since Linux 5.17), or as tailcall.h does.
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

/* The size of kernel stacks. */
const volatile __u64 kernel_stack = 0;

#if defined(__TARGET_ARCH_x86)
#define is_user(regs) ((BPF_CORE_READ(regs, cs) & 3) == 3)
#define user_ip(regs) BPF_CORE_READ(regs, ip)
#define user_sp(regs) BPF_CORE_READ(regs, sp)
#define user_fp(regs) BPF_CORE_READ(regs, bp)
#define user_lr(regs) 0
/* A 32-bit program: __USER32_CS in arch/x86/include/asm/segment.h. */
#define is_compat(regs) (BPF_CORE_READ(regs, cs) == 0x23)
#elif defined(__TARGET_ARCH_arm64)
/* PSR_MODE_EL0t in arch/arm64/include/uapi/asm/ptrace.h. */
#define is_user(regs) (!(BPF_CORE_READ(regs, pstate) & 0xf))
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
	__u64 context; /* where threads have theirs */
};

struct walk {
	__u64 ip, sp, fp, lr;
	__u64 at; /* an address in the instruction that the frame was left at */
	__u64 innermost; /* the first sp */
	__u64 called; /* where the call leads that a frame pointer led to; 0: not asked */
	struct regions regions;
	__u32 kernel_frames, user_frames;
	__u8 end;
	__u8 exact; /* ip was interrupted there; else it is behind a call */
	__u8 guess; /* a frame pointer leads from code without a rule */
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
	found->context = owner->rows;
	return 0;
}

/*
 * Binary searches go down from the whole to nothing in a number of steps that depends on
 * nothing, and the verifier is not shown the bounds of what is left: it would look at
 * each way through the steps on its own.
 */
#define hide(value) barrier_var(value)

/* Finds the region that holds an address. */
static __always_inline int find_region(struct regions *regions, __u64 address, struct wire_region *found)
{
	struct chunk *chunk = chunk_of(regions->chunk);
	__u32 first = regions->first, next = first, left = regions->count;
	struct wire_region *r;

	if (!chunk)
		return -1;
	for (int i = 0; i < REGION_STEPS && left; i++) {
		__u32 half = (left + 1) / 2;

		r = region_at(chunk, next + half - 1);
		if (r->end <= address)
			next += half;
		left /= 2;
		hide(next);
		hide(left);
	}
	if (next - first >= regions->count)
		return -1;
	r = region_at(chunk, next);
	if (r->start > address || r->end <= address)
		return -1;
	*found = *r;
	return 0;
}

static __always_inline struct wire_row *row_at(struct chunk *chunk, __u32 index)
{
	return (void *)&chunk->bytes[(index % CHUNK_ROWS) * sizeof(struct wire_row)];
}

/* Finds the number of the rule of an address; 0: there is none. */
static __always_inline int find_rule(struct wire_region *region, __u64 address)
{
	__u32 first = region->rows >> 16 & 0xffffff, next = first, left = region->rows >> 40;
	__u64 offset = address - region->base;
	struct chunk *chunk;

	if (!left || offset > 0xffffffff)
		return 0;
	chunk = chunk_of(region->rows & 0xffff);
	if (!chunk)
		return 0;
	for (int i = 0; i < ROW_STEPS && left; i++) {
		__u32 half = (left + 1) / 2;

		if (row_at(chunk, next + half - 1)->offset <= offset)
			next += half;
		left /= 2;
		hide(next);
		hide(left);
	}
	if (next == first)
		return 0;
	return row_at(chunk, next - 1)->rule;
}

static __always_inline int load_user(__u64 address, __u64 *value)
{
	return bpf_probe_read_user(value, sizeof(*value), (void *)address);
}

/* Where the caller's stack pointer is. Returns how the walk ends, or USER_TAKEN. */
static __always_inline enum wire_user_stack cfa_of(struct walk *w, const volatile struct wire_rule *rule, __u64 *cfa)
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

/* Whether the frame at cfa may be that of the caller: each leap is taken once at most. */
static __always_inline int is_above(struct walk *w, __u64 cfa, __u8 leap)
{
	if (cfa > w->sp)
		return 1;
	if (!leap || w->leapt & leap)
		return 0;
	w->leapt |= leap;
	return 1;
}

#if defined(__TARGET_ARCH_arm64)
/*
 * struct rt_sigframe in arch/arm64/kernel/signal.c, v5.10 to v6.12: the registers, from
 * x29 on, and the header of fpsimd_context, which comes first behind them: its magic
 * number and size. Where a handler returns to has no call frame information
 * (arch/arm64/kernel/vdso/sigreturn.S, since v5.8), so the frame itself tells.
 */
#define SIGFRAME_FP 544
#define SIGFRAME_FPSIMD 592
#define FPSIMD_HEADER 0x0000021046508001ULL

struct sigframe {
	__u64 fp, lr, sp, pc;
};

/* Goes to where a signal came, if its frame is at the stack pointer. */
static __always_inline int leave_handler(struct walk *w, enum wire_user_stack *end)
{
	struct sigframe saved;
	__u64 header;

	if (load_user(w->sp + SIGFRAME_FPSIMD, &header) || header != FPSIMD_HEADER)
		return 0;
	w->at = w->ip; /* no call is before it */
	*end = USER_UNREADABLE;
	if (bpf_probe_read_user(&saved, sizeof(saved), (void *)(w->sp + SIGFRAME_FP)))
		return 1;
	*end = USER_BAD_FRAME;
	if (!is_above(w, saved.sp, LEAP_SIGNAL) || saved.pc < MIN_ADDRESS || saved.pc >= MAX_ADDRESS)
		return 1;
	*end = USER_TAKEN;
	w->ip = saved.pc;
	w->sp = saved.sp;
	w->fp = saved.fp;
	w->lr = saved.lr;
	w->exact = 1;
	return 1;
}
#define leave_stub(w, end) 0
#else
#define leave_handler(w, end) 0

/*
 * Goes to the caller by the next instructions, if these return at once. No table is needed
 * for that, nor a frame pointer, which such stubs keep seldom: those that Python puts between
 * its functions, for one (Python/asm_trampoline.S, CPython 3.12 and 3.13).
 */
static __always_inline int leave_stub(struct walk *w, enum wire_user_stack *end)
{
	__u64 code, ip, sp = w->sp, fp = w->fp;

	if (load_user(w->ip, &code))
		return 0;
	if ((code & 0xffffff) == 0xc48348) { /* add $n, %rsp */
		sp += (__s8)(code >> 24);
		code >>= 32;
	}
	if ((code & 0xff) == 0x5d) { /* pop %rbp */
		if (load_user(sp, &fp))
			return 0;
		sp += 8;
		code >>= 8;
	}
	if ((code & 0xff) != 0xc3) /* ret */
		return 0;
	*end = USER_UNREADABLE;
	if (load_user(sp, &ip))
		return 1;
	sp += 8;
	*end = USER_BAD_FRAME;
	if (sp <= w->sp || ip < MIN_ADDRESS || ip >= MAX_ADDRESS)
		return 1;
	*end = USER_TAKEN;
	w->ip = ip;
	w->sp = sp;
	w->fp = fp;
	w->exact = 0;
	return 1;
}
#endif

/* Where the call before a return address leads. 0: not known, -1: there is none. */
static __always_inline __u64 call_before(__u64 ip)
{
#if defined(__TARGET_ARCH_x86)
	__u64 none = -1;
	__u8 code[8];

	if (bpf_probe_read_user(code, sizeof(code), (void *)(ip - sizeof(code))))
		return -1;
	if (code[3] == 0xe8) /* with the distance to go */
		return ip + (__s32)(code[4] | code[5] << 8 | code[6] << 16 | (__u32)code[7] << 24);
	/* Through a register or memory: ff /2, with up to five bytes of address. */
	for (int i = 1; i < 7; i++) {
		__u64 other = (code[i] ^ 0xff) | ((code[i + 1] & 0x38) ^ 0x10);

		none &= -(__u64)!!other;
		hide(none);
	}
	return none;
#elif defined(__TARGET_ARCH_arm64)
	__u32 code;

	if (bpf_probe_read_user(&code, sizeof(code), (void *)(ip - sizeof(code))))
		return -1;
	if (code >> 26 == 0x25) /* bl */
		return ip - 4 + ((__s64)((__u64)code << 38) >> 36);
	return code >> 25 == 0x6b ? 0 : -1; /* blr, and with a signature */
#endif
}

/* What is known of the code at an address. */
struct code {
	__u32 rule;
	__u8 mapped;
	__u64 rows; /* of its file; 0: it is in none with a table */
};

static __always_inline void look_up(struct walk *w, __u64 address, struct code *code)
{
	struct wire_region region = {};

	code->mapped = !find_region(&w->regions, address, &region);
	code->rows = region.rows;
	code->rule = find_rule(&region, address);
	hide(code->rule);
}

/*
 * Code that has no rule may use the frame pointer otherwise. Where one led from it, the
 * call has to lead to code without rules or to a stub: not to this very function, which
 * may have been jumped to.
 */
static __always_inline int may_be_called(struct code *code)
{
	struct wire_rule *rule = bpf_map_lookup_elem(&rules, &code->rule);

	return !code->mapped || (rule && (rule->cfa == CFA_NO_INFO || rule->cfa == CFA_PLT));
}

/* Goes to the caller's frame. Returns how the walk ends, or USER_TAKEN. */
static __always_inline int step(struct walk *w, struct code *code)
{
	__u64 cfa = 0, ip = 0, fp = 0;
	/* Read where it is used: the verifier is not to remember what it was compared to. */
	const volatile struct wire_rule *rule;
	enum wire_user_stack end;
	__u32 index = code->rule;

	if (!index && leave_handler(w, &end))
		return end;
	if (!code->mapped && w->user_frames > 1)
		return USER_UNMAPPED;
	rule = bpf_map_lookup_elem(&rules, &index);
	if (!rule)
		return USER_FAILED;
	w->guess = rule->cfa == CFA_NO_INFO;
	if (w->guess) {
		if (leave_stub(w, &end))
			return end;
		if (w->fp < w->sp || w->fp & 7)
			return USER_NO_TABLE;
		index = RULE_FRAME_POINTERS;
		rule = bpf_map_lookup_elem(&rules, &index);
		if (!rule)
			return USER_FAILED;
	}
	if (rule->ra == PLACE_UNDEFINED || (rule->leap == LEAP_SWITCH && !w->fp))
		return USER_COMPLETE;
	end = cfa_of(w, rule, &cfa);
	if (end != USER_TAKEN)
		return end;
	/* A function that has its return address in a register may have no frame at all. */
	if (!(cfa == w->sp && rule->ra == PLACE_IN_LR) && !is_above(w, cfa, rule->leap))
		return USER_BAD_FRAME;
	end = locate(w, rule->ra, rule->ra_offset, cfa, w->lr, &ip);
	if (end != USER_TAKEN)
		return end;
	end = locate(w, rule->fp, rule->fp_offset, cfa, w->fp, &fp);
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
	if (w->guess && code->rows) { /* interpreters return to code that called nothing */
		w->called = call_before(ip);
		if (w->called == -1ULL)
			return USER_NO_TABLE;
	}
	w->exact = rule->leap == LEAP_SIGNAL;
	if (w->exact)
		w->at = w->ip; /* where a handler returns to: no call is before it */
	w->ip = ip;
	w->sp = cfa;
	w->fp = fp;
	w->lr = 0;
	return USER_TAKEN;
}

/*
 * Writes a frame down and goes to the next, or looks at the call that one was left by.
 * Returns whether that was all.
 */
static __always_inline int walk_frame(struct walk *w)
{
	struct wire_sample *sample;
	__u64 address, called;
	__u32 zero = 0, n;
	struct code code;
	__u64 *frame;

	/* A return address is behind the call, which may be the last of a function. */
	w->at = w->exact ? w->ip : w->ip - 1;
	called = w->called;
	address = called ? called : w->at;
	hide(address);
	look_up(w, address, &code);
	hide(called);
	if (called) {
		w->called = 0;
		if (may_be_called(&code))
			return 0;
		w->end = USER_NO_TABLE;
		return 1;
	}
	sample = bpf_map_lookup_elem(&scratch, &zero);
	if (!sample)
		return 1;
	n = w->kernel_frames + w->user_frames;
	if (n >= MAX_FRAMES + MAX_USER_FRAMES || w->user_frames >= MAX_USER_FRAMES) {
		w->end = USER_TRUNCATED;
		return 1;
	}
	frame = &sample->frames[n];
	barrier_var(frame); /* which the verifier knows, n it may not after the step */
	w->user_frames++;
	w->end = step(w, &code);
	*frame = w->at;
	return w->end != USER_TAKEN;
}

/*
 * Where the registers of user space are saved: at the end of the kernel stack
 * (task_pt_regs, v5.10 to v5.14; later kernels leave some room behind them).
 */
static __always_inline struct pt_regs *saved_registers(void)
{
	struct task_struct *task;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	task = (void *)bpf_get_current_task();
	return BPF_CORE_READ(task, stack) + kernel_stack - bpf_core_type_size(struct pt_regs);
}

#include "context.h"
#include "copy.h"

/* Goes to the innermost frame of the task. Returns whether its tables are known. */
static __always_inline int begin_walk(struct walk *w, struct wire_sample *sample)
{
	struct pt_regs *regs = saved_registers();

	if (!is_user(regs) || is_compat(regs) || find_regions(sample, &w->regions))
		return 0;
	w->ip = user_ip(regs);
	w->sp = w->innermost = user_sp(regs);
	w->fp = user_fp(regs);
	w->lr = user_lr(regs);
	w->kernel_frames = sample->kernel_frames;
	w->user_frames = 0;
	w->end = USER_TRUNCATED;
	w->exact = 1;
	w->leapt = 0;
	w->called = 0;
	return 1;
}

/*
 * Where the walk came to code in no known mapping, that may have been mapped a moment ago,
 * such as by dlopen: user space will know. A copy holds more than what was walked if that is
 * short. A quarter of what may be copied is left to processes without tables.
 */
static __always_inline void end_walk(struct walk *w, struct wire_sample *sample)
{
	sample->user_frames = w->user_frames;
	sample->head.user_stack = w->end;
	if (w->end == USER_UNMAPPED && w->sp - w->innermost < COPY_WORDS * 8 / 2)
		copy_user_stack(sample, copy_budget / 4 * 3);
	if (w->regions.context)
		sample->context = take_context(w->regions.context, sample);
}

/*
 * The sampler alone uses it, as it does scratch. The verifier, which follows each value on
 * the stack, takes what is in there for anything.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct walk);
} walks SEC(".maps");

static long walk_in_loop(__u64 index, void *context)
{
	__u32 zero = 0;
	struct walk *w = bpf_map_lookup_elem(&walks, &zero);

	return w ? walk_frame(w) : 1;
}

/*
 * Walks the user stack of the current task behind the kernel frames of the sample, if
 * its tables are known.
 */
static __always_inline int walk_user_stack(struct wire_sample *sample)
{
	__u32 zero = 0;
	struct walk *w = bpf_map_lookup_elem(&walks, &zero);

	if (!w || !begin_walk(w, sample))
		return 0;
	bpf_loop(2 * MAX_USER_FRAMES + 1, walk_in_loop, NULL, 0);
	end_walk(w, sample);
	return 1;
}

#endif
