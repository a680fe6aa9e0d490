//go:build ignore
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Copyright The ebpf_profiler authors

#include "kernel.h"
#include "wire.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define FRAMES_SIZE (MAX_FRAMES * sizeof(__u64))

/* PF_* bits of tasks that never run user code; they differ between kernels. */
const volatile __u32 worker_flags = 0;

/* Takes the lifecycle records of a CPU that came online and has no ring yet. */
const volatile __u32 spare_ring = 0;

/* The controller whose hierarchy of version 1 is looked at: a kernel's cgroup_subsys_id. */
const volatile __u32 legacy_controller = NO_CONTROLLER;

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

/*
 * One ring per CPU, so CPUs never contend. The array is also the barrier: an
 * update of an element returns after every program that was running has ended
 * (maybe_wait_bpf_programs in kernel/bpf/syscall.c, v5.10 to v6.18).
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, struct ring);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct wire_counters);
} counters SEC(".maps");

/* The sampler alone uses it: bpf_prog_active keeps it from nesting. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wire_sample);
} scratch SEC(".maps");

#include "unwind.h"
#include "filter.h"

#define count(counters, field) __sync_fetch_and_add(&(counters)->field, 1)

static __always_inline struct wire_counters *cpu_counters(__u32 cpu)
{
	return bpf_map_lookup_elem(&counters, &cpu);
}

/*
 * A task whose thread_pid is gone has been released: its leader may be freed
 * memory, so group_leader must not be followed unless it is the task itself.
 * Otherwise RCU keeps the leader valid for this program.
 */
static __always_inline struct task_struct *leader_of(struct task_struct *task)
{
	struct pid *thread_pid = BPF_CORE_READ(task, thread_pid);
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	if (!thread_pid && leader != task)
		return NULL;
	return leader;
}

static __always_inline enum wire_user_stack user_stack_of(struct task_struct *task, __u8 worker)
{
	if (worker)
		return USER_NONE;
	/* Saved registers of the old image, memory of the new one. */
	if (BPF_CORE_READ_BITFIELD_PROBED(task, in_execve))
		return USER_EXEC;
	if (!BPF_CORE_READ(task, mm))
		return USER_EXIT;
	return USER_TAKEN;
}

/* The number of frames that a stack walk of size bytes brought; 0 on error. */
static __always_inline __u32 frames_in(long size)
{
	if (size < 0 || size > FRAMES_SIZE)
		return 0;
	return (__u32)size / sizeof(__u64);
}

static __always_inline void take_kernel_stack(void *ctx, struct wire_sample *sample)
{
	sample->user_frames = 0;
	sample->kernel_frames = frames_in(bpf_get_stack(ctx, sample->frames, FRAMES_SIZE, 0));
}

/* The user stack by frame pointers. */
static __always_inline void follow_frame_pointers(void *ctx, struct wire_sample *sample)
{
	__u32 kernel = sample->kernel_frames;
	long size;

	/* The bound that frames_in gave is lost to the verifier in a spill. */
	barrier_var(kernel);
	if (kernel > MAX_FRAMES)
		return;
	size = bpf_get_stack(ctx, &sample->frames[kernel], FRAMES_SIZE, BPF_F_USER_STACK);
	if (size <= 0)
		sample->head.user_stack = USER_FAILED;
	sample->user_frames = frames_in(size);
}

/* The user stack by tables, else a copy of it, else by frame pointers. */
static __always_inline void take_user_stack(void *ctx, struct wire_sample *sample)
{
	if (!walk_user_stack(sample) && !copy_user_stack(sample, copy_budget))
		follow_frame_pointers(ctx, sample);
}

static __always_inline long submit_sample(__u32 cpu, struct wire_sample *sample)
{
	__u64 size = sizeof(*sample) - sizeof(sample->frames);
	void *ring = bpf_map_lookup_elem(&rings, &cpu);

	if (!ring)
		return -1;
	size += sizeof(__u64) * ((__u32)sample->kernel_frames + sample->user_frames);
	if (sample->context == CONTEXT_LINKED)
		size += sizeof(__u64) * LINK_WORDS;
	barrier_var(size);
	if (size > sizeof(*sample))
		return -1;
	return bpf_ringbuf_output(ring, sample, size, BPF_RB_NO_WAKEUP);
}

/*
 * Describes the task that the CPU runs. NULL: the sample ends here, and is counted.
 * It still lacks the user stack.
 */
static __always_inline struct wire_sample *begin_sample(void *ctx, struct wire_counters *counters)
{
	__u64 ktime = bpf_ktime_get_ns();
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	struct task_struct *task, *leader;
	struct wire_sample *sample;
	__u32 zero = 0;

	sample = bpf_map_lookup_elem(&scratch, &zero);
	if (!sample)
		return NULL;
	if (!(__u32)pid_tgid) {
		count(counters, idle);
		return NULL;
	}
	task = (void *)bpf_get_current_task();
	leader = leader_of(task);
	if (!leader) {
		count(counters, released);
		return NULL;
	}
	sample->head.ktime = ktime;
	sample->head.start = BPF_CORE_READ(leader, start_boottime);
	sample->head.generation = BPF_CORE_READ(task, self_exec_id);
	sample->head.pid = pid_tgid >> 32;
	sample->birth = BPF_CORE_READ(leader, start_time);
	if (is_filtered(sample)) {
		count(counters, filtered);
		return NULL;
	}
	sample->head.kind = KIND_SAMPLE;
	sample->head.worker = !!(BPF_CORE_READ(task, flags) & worker_flags);
	sample->head.user_stack = user_stack_of(task, sample->head.worker);
	bpf_get_current_comm(sample->head.comm, sizeof(sample->head.comm));
	sample->tid = (__u32)pid_tgid;
	sample->user = (__u32)bpf_get_current_uid_gid();
	sample->context = CONTEXT_NONE;
	take_kernel_stack(ctx, sample);
	return sample;
}

static __always_inline void end_sample(struct wire_sample *sample, struct wire_counters *counters)
{
	if (submit_sample(bpf_get_smp_processor_id(), sample))
		count(counters, ring_full);
	else
		count(counters, submitted);
}

SEC("perf_event")
int sample_cpu(void *ctx)
{
	struct wire_counters *counters = cpu_counters(bpf_get_smp_processor_id());
	struct wire_sample *sample;

	if (!counters)
		return 0;
	sample = begin_sample(ctx, counters);
	if (!sample)
		return 0;
	if (sample->head.user_stack == USER_TAKEN)
		take_user_stack(ctx, sample);
	end_sample(sample, counters);
	return 0;
}

#include "tailcall.h"

/* Lifecycle programs nest and may be preempted: they build on the stack. */
static __always_inline void submit_lifecycle(struct wire_lifecycle *record)
{
	__u32 cpu = bpf_get_smp_processor_id(), spare = spare_ring;
	struct wire_counters *counters = cpu_counters(cpu);
	void *ring = bpf_map_lookup_elem(&rings, &cpu);

	if (!counters)
		return;
	if (!ring)
		ring = bpf_map_lookup_elem(&rings, &spare);
	if (ring && !bpf_ringbuf_output(ring, record, sizeof(*record), BPF_RB_NO_WAKEUP))
		count(counters, lifecycle_submitted);
	else
		count(counters, lifecycle_lost);
}

static __always_inline __u64 cgroup_of(struct task_struct *task)
{
	if (!bpf_core_field_exists(task->cgroups))
		return 0;
	return BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
}

static __always_inline __u64 legacy_cgroup_of(struct task_struct *task)
{
	struct cgroup_subsys_state *state;
	struct css_set *set;

	if (legacy_controller == NO_CONTROLLER || !bpf_core_field_exists(task->cgroups))
		return 0;
	set = BPF_CORE_READ(task, cgroups);
	if (bpf_probe_read_kernel(&state, sizeof(state), &set->subsys[0] + legacy_controller))
		return 0;
	return BPF_CORE_READ(state, cgroup, kn, id);
}

static __always_inline void describe(struct wire_lifecycle *record, enum wire_kind kind,
				     struct task_struct *leader)
{
	record->head.kind = kind;
	record->head.start = leader->start_boottime;
	record->head.pid = leader->tgid;
	record->head.generation = leader->self_exec_id;
	record->head.worker = !!(leader->flags & worker_flags);
	record->cgroup = cgroup_of(leader);
	record->legacy_cgroup = legacy_cgroup_of(leader);
	bpf_probe_read_kernel(record->head.comm, sizeof(record->head.comm), leader->comm);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct wire_lifecycle record = { .head.ktime = bpf_ktime_get_ns() };

	if (child->pid != child->tgid)
		return 0;
	describe(&record, KIND_FORK, child);
	record.parent_start = parent->group_leader->start_boottime;
	record.parent_generation = parent->self_exec_id;
	record.parent_pid = parent->tgid;
	record.parent_threads = parent->signal->live.counter;
	submit_lifecycle(&record);
	return 0;
}

/*
 * Exec names its task in begin_new_exec (fs/exec.c, v5.10 to v6.18), under
 * exec_update_lock, after the old memory is gone and before the new image's
 * first mapping; self_exec_id moves right after.
 */
SEC("tp_btf/task_rename")
int BPF_PROG(process_exec, struct task_struct *task, const char *comm)
{
	struct wire_lifecycle record = { .head.ktime = bpf_ktime_get_ns() };

	if (!BPF_CORE_READ_BITFIELD(task, in_execve))
		return 0;
	describe(&record, KIND_EXEC, task);
	record.head.generation++;
	bpf_probe_read_kernel_str(record.head.comm, sizeof(record.head.comm), comm);
	submit_lifecycle(&record);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct wire_lifecycle record = { .head.ktime = bpf_ktime_get_ns() };

	/* The last threads to leave may all see 0: user space takes the first. */
	if (task->signal->live.counter)
		return 0;
	describe(&record, KIND_EXIT, task->group_leader);
	submit_lifecycle(&record);
	return 0;
}

/*
 * After an exec by another thread the old leader has the same tgid and start,
 * but a pid of its own: only the real leader's end is the end.
 */
SEC("tp_btf/sched_process_free")
int BPF_PROG(process_free, struct task_struct *task)
{
	struct wire_lifecycle record = { .head.ktime = bpf_ktime_get_ns() };

	if (task->pid != task->tgid)
		return 0;
	describe(&record, KIND_FREE, task);
	submit_lifecycle(&record);
	return 0;
}

/* One row per process, for the scan at start and for reconciliation. */
SEC("iter/task")
int dump_processes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct wire_lifecycle row = {};

	if (!task || task->pid != task->tgid)
		return 0;
	row.head.ktime = bpf_ktime_get_ns();
	describe(&row, KIND_SAMPLE, task);
	row.head.exiting = !task->signal->live.counter;
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

/* Keeps types that no map mentions in the object's type information. */
const struct wire_region *unused_region __attribute__((unused));
const struct wire_row *unused_row __attribute__((unused));
const enum wire_cfa *unused_cfa __attribute__((unused));
const enum wire_place *unused_place __attribute__((unused));
const enum wire_leap *unused_leap __attribute__((unused));
const struct wire_lifecycle *unused_lifecycle __attribute__((unused));
const enum wire_local *unused_local __attribute__((unused));
const enum wire_context *unused_context __attribute__((unused));
const enum wire_kind *unused_kind __attribute__((unused));
const enum wire_user_stack *unused_user_stack __attribute__((unused));

char LICENSE[] SEC("license") = "Dual BSD/GPL";
