// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package watermark decides which moment every buffer has been drained up to.
//
// # Invariant
//
// After Complete has returned until, no record stamped at or before until is
// read from any buffer, and the next until is greater.
//
// # Algorithm
//
// Programs on any CPU stamp a record with the clock, reserve room in a buffer,
// write and commit. The kernel's own records of mappings come about the same way,
// in buffers of their own; so programs here means them too. A round is
//
//  1. read the clock: t0
//  2. wait for a grace period: every program that was running has ended
//  3. read the head of each buffer
//  4. drain each buffer to that head; now its frontier is t0 - guard - 1
//  5. until is the least frontier
//
// Barrier takes the results of 1 to 3, Drained those of 4, Complete is 5. Records
// that steps 4 hand on go ahead of the completion in the same channel.
//
// # Proof
//
// Take a record stamped k <= t0 - guard - 1 that is not lost, and the program
// that wrote it.
//
//   - It was running before step 1 ended. Otherwise it read the clock after step
//     1 did, and a clock that is read later shows at least t0 - guard: k would
//     be greater. (assumptions C, G)
//   - So its read-side section began before the grace period of step 2, which
//     waited for the end of that section. (R, B)
//   - Its stamp, its reservation and its commit are all in the section, so the
//     record is committed when step 3 begins, and the head that step 3 reads is
//     behind it. (S, M)
//   - Step 4 reads up to the head and stops at a record that is reserved and not
//     committed, never behind it, so the record has been handed on before step 5.
//     (O)
//
// Records of one buffer need not be sorted, and which CPU writes to which buffer
// does not matter: the argument is about programs that have ended.
//
// until grows: frontiers are maxima, and Complete speaks only if the least of
// them grew. Rounds end: a buffer is drained to a fixed head, not to the moving
// one, and a busy record is committed by a program that runs. A buffer without
// traffic is at its head at once. So the time from one completion to the next
// depends on the grace period and the drain, never on what the CPUs do. A round
// that takes longer than the interval delays the next: the lag is then below two
// grace periods and drains.
//
// A buffer that is added between two rounds is empty or holds records of programs
// that found it there, which ended before the head of the next round was read;
// for earlier rounds it holds nothing, as their programs had ended before it was
// added. So it starts where until is.
//
// # Assumptions
//
//   - R: Every program runs in one RCU read-side critical section, in interrupts
//     and in NMI too. perf_event: bpf_overflow_handler (kernel/events/core.c);
//     raw and BTF tracepoints: __bpf_trace_run (kernel/trace/bpf_trace.c); both
//     v5.10 to v6.18. Sections are legal in NMI:
//     Documentation/RCU/Design/Requirements/Requirements.rst, v6.12. Sleepable
//     programs, timers and deferred unwinding run in other sections or later
//     ones: none is used. Preemption and nesting (interrupts over tracepoints,
//     and preemption of tracepoint programs since v7.0) only lengthen a section.
//     The kernel stamps and writes a record of a mapping under rcu_read_lock with
//     preemption off: perf_iterate_sb (kernel/events/core.c), v5.10 to v6.18.
//   - B: An update of an element of a map of maps waits for a grace period:
//     maybe_wait_bpf_programs (kernel/bpf/syscall.c, v5.0 to v6.18). Also if the
//     element is replaced by itself. internal/source tests it at each Start.
//   - S: Stamp, reservation and commit are in one section, because one program
//     does all three; tail calls stay in the section of their caller.
//   - M: What a section did before a grace period is visible after it:
//     Documentation/RCU/Design/Memory-Ordering/Tree-RCU-Memory-Ordering.rst, v6.12.
//   - O: Records become visible in the order of their reservation, a busy one
//     holds those behind it: Documentation/bpf/ringbuf.rst, v5.10 to v6.18. Perf
//     buffers publish whole records only, when the outermost of nested writers
//     ends, which is in its section: perf_output_put_handle
//     (kernel/events/ring_buffer.c), v5.10 to v6.18.
//   - C: Programs and step 1 read one clock: bpf_ktime_get_ns is
//     ktime_get_mono_fast_ns (kernel/bpf/helpers.c), so is perf_event_clock of an
//     event that asks for CLOCK_MONOTONIC (kernel/events/core.c), and ours is
//     CLOCK_MONOTONIC outside of a shifted time namespace, where Start refuses to
//     run.
//   - G: That clock steps back by at most Guard. NTP changes its speed by less than
//     1000 ppm, so an update may be held up for a second; a storm of adjtimex that
//     turns it by 20 % at each tick would need a CPU taken away for 5 ms within
//     those microseconds, and was not seen to matter (internal/source).
//
// Lost records break nothing: what was never written is not late.
//
// # Argued, not shown
//
// No machine of ours samples in NMI (the clock event fires in the hard interrupt
// of a timer), has more than one socket, or runs PREEMPT_RT. For NMI the
// assumption R is documented by the kernel; for sockets G rests on the kernel's
// check of the TSC (arch/x86/kernel/tsc_sync.c, v6.12), which gives up the TSC as
// a clock when it finds a warp; with PREEMPT_RT sections are longer and may be
// preempted, which RCU waits for.
//
// What happens anyway is counted: late_records compares each record that arrives
// with the completions before it.
package watermark
