/*
 * Copyright The ebpf_profiler authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The completion watermark: programs that nest on CPUs, one ring per CPU, and
 * the round of receiver/barrier.go, receiver/poll.go and internal/watermark.
 *
 * Safety: no record is delivered whose stamp lies at or before the watermark,
 * and the watermark grows. Liveness: it goes on for ever, whatever the CPUs do.
 *
 * Times are distances from the watermark: whenever it moves, all of them are
 * shifted so that it is 0 again. So neither rounds nor programs nor the clock
 * are bounded in number, only how far the clock runs ahead of the watermark.
 */

#define CPUS 2
#define SLOTS 2		/* programs on a CPU at a time: slot 1 interrupts slot 0 */
#define RING 2		/* records in a ring */
#ifndef WINDOW
#define WINDOW 3	/* how far the clock runs ahead of the watermark */
#endif
#ifndef SKEW
#define SKEW 1		/* how far a reading of the clock may be behind */
#endif
#ifdef GUARD_BELOW_SKEW
#define GUARD 0
#else
#define GUARD SKEW
#endif

/* Where a program is. From its stamp to its end it is in one RCU section. */
#define OFF 0
#define STAMPED 1
#define RESERVED 2

typedef Cpu {
	byte stage[SLOTS];
	byte stamp[SLOTS];
	bit awaited[SLOTS];	/* by the grace period under way */
	bit interrupted;	/* slot 0 has been, once; for ever, it would never end */
	/* The ring. Its tail is at 0 and its head at used: reading shifts it. */
	byte used;
	byte record[RING];	/* the stamp */
	byte busy[RING];	/* 1 + slot of the program that has not committed it, or 0 */
	byte left;		/* records between the tail and the head of the round */
#ifdef SNAPSHOT_BEFORE_BARRIER
	byte early;		/* the same, for the barrier under way */
#endif
#ifdef ONLY_PRODUCERS
	bit produced;		/* since the round began */
#endif
};

Cpu cpu[CPUS];
byte now = SKEW + 1;
byte began;	/* the clock before the barrier under way */
byte t0;	/* the clock before the barrier of the open round */
bit ready;	/* a barrier has passed, no round has taken it yet */
bit open;	/* a round is under way */
#ifdef PREVIOUS_ROUND_MINIMUM
#define NONE 255
byte lowest = NONE;	/* stamp of those read in this round */
byte previous = NONE;	/* the same, of the round before */
#endif

active proctype Clock() {
end:	do
	:: now < WINDOW -> now++
	od
}

/* ---- The kernel: a CPU and the programs on it, bpf/profiler.bpf.c ---- */

#define me cpu[c]

/* A program begins with a reading of the clock, which may be behind. */
inline start(s) {
	if
	:: me.stamp[s] = now
	:: me.stamp[s] = now - SKEW
	fi;
	me.stage[s] = STAMPED
}

inline finish(s) {
	me.stage[s] = OFF;
	me.stamp[s] = 0;
	me.awaited[s] = 0
}

/* The next step of the program in slot s. */
inline step(s) {
	if
	:: me.stage[s] == STAMPED && me.used < RING ->
		me.record[me.used] = me.stamp[s];
		me.busy[me.used] = s + 1;
		me.used++;
		me.stamp[s] = 0;
		me.stage[s] = RESERVED
	:: me.stage[s] == STAMPED ->
		finish(s)	/* dropped: no room, a lock was taken, or filtered */
	:: me.stage[s] == RESERVED ->
		if
		:: me.busy[0] == s + 1 -> me.busy[0] = 0
		:: me.busy[1] == s + 1 -> me.busy[1] = 0
		fi;
		finish(s)
	fi
}

/* CPU 0 nests programs, CPU 1 runs one at a time unless told otherwise. */
#ifdef NEST_ON_BOTH
#define NESTS(c) true
#else
#define NESTS(c) (c == 0)
#endif
#ifdef PREEMPTIBLE
/* Programs take turns in any order, as lifecycle programs may on newer kernels. */
#define MAY_START_1 (NESTS(c) && me.stage[1] == OFF)
#define MAY_STEP_0  (me.stage[0] != OFF)
#else
#define MAY_START_1 (NESTS(c) && me.stage[0] != OFF && me.stage[1] == OFF && !me.interrupted)
#define MAY_STEP_0  (me.stage[0] != OFF && me.stage[1] == OFF)
#endif

proctype Processor(byte c) {
end:	do
	:: me.stage[0] == OFF -> skip	/* idle, for as long as it likes */
	:: atomic { me.stage[0] == OFF -> start(0) }
	:: atomic { MAY_STEP_0 -> step(0); me.interrupted = me.interrupted && me.stage[0] != OFF }
	:: atomic { MAY_START_1 -> me.interrupted = 1; start(1) }
	:: atomic { me.stage[1] != OFF -> step(1) }
	od
}

/* ---- receiver/barrier.go ---- */

#ifdef SUBMIT_AFTER_SECTION
#define RUNS(c, s) false	/* the section ended with the stamp, the record comes later */
#else
#define RUNS(c, s) (cpu[c].stage[s] != OFF)
#endif
#define AWAITED(c) (cpu[c].awaited[0] || cpu[c].awaited[1])

active proctype Barrier() {
	do
	:: !ready ->
#ifndef CLOCK_AFTER_BARRIER
	   began = now;	/* that a reading may be behind is the same as to read earlier */
#endif
#ifdef SNAPSHOT_BEFORE_BARRIER
	   d_step { cpu[0].early = cpu[0].used; cpu[1].early = cpu[1].used };
#endif
#ifndef NO_BARRIER
	   /* A grace period waits for the sections that have begun, for no others. */
	   d_step {
		cpu[0].awaited[0] = RUNS(0, 0); cpu[0].awaited[1] = RUNS(0, 1);
		cpu[1].awaited[0] = RUNS(1, 0); cpu[1].awaited[1] = RUNS(1, 1)
	   };
	   !AWAITED(0) && !AWAITED(1);
#endif
	   atomic {
#ifdef CLOCK_AFTER_BARRIER
		began = now;
#endif
		ready = 1
	   }
	od
}

/* ---- receiver/poll.go, internal/watermark/watermark.go ---- */

inline deliver(c) {
	assert(cpu[c].record[0] > 0);	/* no record at or before the watermark is still to come */
#ifdef PREVIOUS_ROUND_MINIMUM
	lowest = (cpu[c].record[0] < lowest -> cpu[c].record[0] : lowest);
#endif
#ifdef ONLY_PRODUCERS
	cpu[c].produced = 1;
#endif
#ifdef SNAPSHOT_BEFORE_BARRIER
	cpu[c].early = cpu[c].early - (cpu[c].early > 0);
#endif
	cpu[c].left = cpu[c].left - (cpu[c].left > 0);
	cpu[c].used--;
	cpu[c].record[0] = cpu[c].record[1];
	cpu[c].busy[0] = cpu[c].busy[1];
	cpu[c].record[1] = 0;
	cpu[c].busy[1] = 0
}

/* A committed record, in a round one before the head of the round. */
#define READABLE(c) (cpu[c].used > 0 && cpu[c].busy[0] == 0 && (!open || cpu[c].left > 0))

/* Reads a ring as far as it goes. That is one step: a record that is committed
 * meanwhile might as well have been before, or not yet. */
inline drain(c) {
	atomic {
		do
		:: READABLE(c) -> deliver(c)
		:: !READABLE(c) -> break
		od
	}
}

#ifdef BUSY_IS_THE_END
#define DRAINED(c) (cpu[c].left == 0 || cpu[c].busy[0] != 0)
#elif defined(ONLY_PRODUCERS)
#define DRAINED(c) (cpu[c].left == 0 && cpu[c].produced)
#else
#define DRAINED(c) (cpu[c].left == 0)
#endif

#define SHIFT(t) t = (t > mark -> t - mark : 0)

/* The watermark moves to mark: from here on that is 0. */
inline move() {
	SHIFT(now); SHIFT(began); SHIFT(t0);
	SHIFT(cpu[0].stamp[0]); SHIFT(cpu[0].stamp[1]); SHIFT(cpu[0].record[0]); SHIFT(cpu[0].record[1]);
	SHIFT(cpu[1].stamp[0]); SHIFT(cpu[1].stamp[1]); SHIFT(cpu[1].record[0]); SHIFT(cpu[1].record[1]);
#ifdef PREVIOUS_ROUND_MINIMUM
	lowest = (lowest == NONE -> NONE : lowest - mark);
#endif
	mark = 0
}

active proctype Poll() {
	byte mark;
	do
	:: ready || open || cpu[0].used + cpu[1].used > 0 ->
		if
		:: atomic {
			ready && !open ->
			t0 = began; began = 0; ready = 0; open = 1;
#ifdef SNAPSHOT_BEFORE_BARRIER
			cpu[0].left = cpu[0].early; cpu[1].left = cpu[1].early;
			cpu[0].early = 0; cpu[1].early = 0;
#else
			cpu[0].left = cpu[0].used; cpu[1].left = cpu[1].used;
#endif
#ifdef ONLY_PRODUCERS
			cpu[0].produced = 0; cpu[1].produced = 0
#endif
		   }
		:: !ready || open	/* the interval has passed, or a busy record is looked at again */
		fi;
		drain(0);
		drain(1);
#ifdef PREVIOUS_ROUND_MINIMUM
		atomic {
			open = 0;
			if
			:: previous != NONE ->
				assert(previous >= 1);	/* it does not step back */
				mark = previous - 1
			:: else
			fi;
			previous = lowest;
			lowest = NONE
		};
		if
		:: mark > 0 ->
progress:		d_step { previous = (previous == NONE -> NONE : previous - mark); move() }
		:: else
		fi
#else
		if
		:: atomic {
			open && DRAINED(0) && DRAINED(1) ->
			open = 0; cpu[0].left = 0; cpu[1].left = 0;
			mark = (t0 > GUARD + 1 -> t0 - GUARD - 1 : 0);
			t0 = 0
		   };
			if
			:: mark > 0 ->
progress:			d_step { move() }
			:: else	/* the clock has not moved on since the last round */
			fi
		:: else	/* a busy record holds the round */
		fi
#endif
	od
}

init {
	atomic { run Processor(0); run Processor(1) }
}
