/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copyright The ebpf_profiler authors */

/*
 * Reads which span the thread works for: OpenTelemetry's thread context (OTEP 4947,
 * opentelemetry-specification, oteps/profiles/4947-thread-ctx.md). The thread is
 * interrupted meanwhile, which the protocol of its updates asks for. What does not look
 * as it should is no link.
 */
#ifndef CONTEXT_H
#define CONTEXT_H

/* The thread-local variable points to one of these, or nowhere. */
struct context {
	__u64 trace[2];
	__u64 span;
	__u8 valid;
	__u8 trace_flags;
	__u16 attributes; /* bytes that follow */
};
#define CONTEXT_SIZE 28

/*
 * Of the running thread it is what its register was when it was last switched out or set
 * by a system call: on arm64, where the register can be set without, a main thread that
 * was never switched out has none yet.
 */
static __always_inline __u64 thread_pointer(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(task, thread.fsbase);
#elif defined(__TARGET_ARCH_arm64)
	return BPF_CORE_READ(task, thread.uw.tp_value);
#endif
}

/* Where from the thread pointer the list of the blocks of modules is (dtv_t). */
#if defined(__TARGET_ARCH_x86)
#define GLIBC_BLOCKS 8 /* tcbhead_t, sysdeps/x86_64/nptl/tls.h, glibc 2.39 */
#define MUSL_BLOCKS 8 /* struct pthread, src/internal/pthread_impl.h, musl 1.2.5 */
#elif defined(__TARGET_ARCH_arm64)
#define GLIBC_BLOCKS 0 /* tcbhead_t, sysdeps/aarch64/nptl/tls.h, glibc 2.39 */
#define MUSL_BLOCKS -8
#endif
/* TLS_DTV_UNALLOCATED: the thread has not used the module yet. */
#define UNALLOCATED (-1ULL)

/*
 * Finds the block of a module, which the thread may not have: 0. Each list begins with how
 * many there are: glibc's two words before where it points to, with two words for each.
 */
static __always_inline int find_block(__u64 tp, __u32 module, __u32 libc, __u64 *block)
{
	__u64 blocks, count, offset = libc == LOCAL_GLIBC ? (__s64)GLIBC_BLOCKS : (__s64)MUSL_BLOCKS;

	if (load_user(tp + offset, &blocks))
		return -1;
	if (load_user(libc == LOCAL_GLIBC ? blocks - 16 : blocks, &count))
		return -1;
	*block = 0;
	if (module > count)
		return 0;
	if (load_user(blocks + module * (libc == LOCAL_GLIBC ? 16ULL : 8ULL), block))
		return -1;
	if (*block == UNALLOCATED)
		*block = 0;
	return 0;
}

/* Writes the link of the current thread behind the frames of the sample. */
static __always_inline enum wire_context take_context(__u64 where, struct wire_sample *sample)
{
	__u32 n = (__u32)sample->kernel_frames + sample->user_frames;
	__u64 offset = (__s64)(__s32)where, base = thread_pointer(), address;
	__u32 module = where >> 32 & 0xffff, local = where >> 48;
	struct context context;
	__u64 *to;

	barrier_var(n);
	if (!base || n > MAX_FRAMES + MAX_USER_WORDS)
		return CONTEXT_UNREADABLE;
	to = &sample->frames[n];
	barrier_var(to); /* which the verifier knows, n it may not in a spill */
	if (local != LOCAL_STATIC) {
		if (find_block(base, module, local, &base))
			return CONTEXT_UNREADABLE;
		if (!base)
			return CONTEXT_NONE;
	}
	if (load_user(base + offset, &address))
		return CONTEXT_UNREADABLE;
	if (!address)
		return CONTEXT_NONE;
	if (address & 1 || bpf_probe_read_user(&context, CONTEXT_SIZE, (void *)address))
		return CONTEXT_UNREADABLE;
	if (context.valid != 1 || !(context.trace[0] | context.trace[1]) || !context.span)
		return CONTEXT_NONE;
	to[0] = context.trace[0];
	to[1] = context.trace[1];
	to[2] = context.span;
	return CONTEXT_LINKED;
}

#endif
