/*
 * Copyright The ebpf_profiler authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two processes get one PID, one after the other. What the kernel tells of them,
 * a sample of one of them and what /proc shows meet in the process table when a
 * completion says that all of it up to then has arrived (watermark.pml proves
 * that it has).
 *
 * Safety: no sample is given to another process or read with another program's
 * image, and no process is forgotten before its last sample. Liveness: once no
 * more happens, what was freed is forgotten.
 *
 * The two begin in one tick of /proc's clock: it cannot tell them apart. No
 * record is lost.
 */

#ifndef LAST
#define LAST 4		/* the clock ends there */
#endif
#define NONE 255	/* not yet, which is later than any time */

/* ---- The kernel ---- */

#define UNBORN 0
#define LIVE 1
#define EXITED 2	/* the last thread begins to end: sched_process_exit, live == 0 */
#define RELEASED 3	/* the PID may be given to another */
#define FREED 4		/* sched_process_free of the leader */

typedef Process {
	byte state;
	bit image;	/* 0, after an exec 1; told from each other by self_exec_id */
	bit thread;	/* a released thread that was not switched away from yet */
};

#define FORK 0
#define EXEC 1
#define EXIT 2
#define FREE 3

/* The lifecycle records that the table has not applied: when each was cut. */
typedef Records { byte stamp[4] = NONE };

Process process[2];
Records told[2];
byte now = 1;

/* The sample: whose it is and whose it says it is. */
byte sample = NONE;
bit sampled;
bit owner;
bit claim;
bit image;
bit stack;	/* a user stack was taken */

#define HAS_PID(i) (process[i].state == LIVE || process[i].state == EXITED)
#define RUNS(i) (HAS_PID(i) || process[i].state == RELEASED)

#define TELL(i, kind) told[i].stamp[kind] = now

inline take(whose, says) {
	sample = now; sampled = 1;
	owner = whose;
	claim = says;
	image = process[whose].image;
	stack = (process[whose].state == LIVE)
}

#define RUNNING (now < LAST)

proctype Kernel(bit i) {
end:	do
	:: atomic { RUNNING && process[i].state == UNBORN && (i == 0 || process[0].state >= RELEASED) ->
		process[i].state = LIVE; TELL(i, FORK) }
	/* Cut when the new image has no mapping yet, before self_exec_id grows. */
	:: atomic { RUNNING && process[i].state == LIVE && !process[i].image ->
		process[i].image = 1; TELL(i, EXEC) }
	:: atomic { RUNNING && process[i].state == LIVE -> process[i].state = EXITED; TELL(i, EXIT) }
	:: atomic { RUNNING && process[i].state == EXITED -> process[i].state = RELEASED; process[i].thread = 1 }
	:: atomic { RUNNING && process[i].state == RELEASED -> process[i].state = FREED; TELL(i, FREE) }
	:: atomic { process[i].thread -> process[i].thread = 0 }
	/* bpf/profiler.bpf.c: of a released thread there is no identity. */
	:: atomic { RUNNING && !sampled && RUNS(i) -> take(i, i) }
#ifdef RELEASED_THREADS_KEPT
	/* Once the leader is freed, its memory is anybody's. */
	:: atomic { RUNNING && !sampled && process[i].thread && process[i].state == FREED && process[1 - i].state != UNBORN ->
		take(i, 1 - i) }
#endif
	od
}

active proctype Clock() {
end:	do
	:: RUNNING -> now++
	od
}

/* ---- The table, internal/process ---- */

#ifdef IDENTITY_WITHOUT_START
#define KEY(i) 0
#else
#define KEY(i) i
#endif

typedef Entry {
	bit known;
	bit gone;
	bit process;	/* whom it stands for */
	byte exec = NONE;
	byte exit = NONE;
	byte free = NONE;
	byte image[2] = NONE;	/* after so many execs: 2 * process + image */
};

Entry entry[2];
byte until;	/* the last completion */

/* internal/procfs: a read that begins when a sample has arrived and is not
 * judged yet. The directory is that of whoever has the PID. */
bit asked;
byte from = NONE;
byte to = NONE;
byte shown = NONE;	/* 2 * process + image */

/* By PID alone, who comes later takes the place of who was there. */
inline know(i) {
	if
	:: !entry[KEY(i)].known || entry[KEY(i)].gone && entry[KEY(i)].process != i ->
		entry[KEY(i)].known = 1; entry[KEY(i)].gone = 0; entry[KEY(i)].process = i
	:: else
	fi
}

inline apply(i, kind) {
	know(i);
	if
	:: kind == EXEC -> entry[KEY(i)].exec = told[i].stamp[kind]
	:: kind == EXIT -> entry[KEY(i)].exit = told[i].stamp[kind]
	:: kind == FREE -> entry[KEY(i)].free = told[i].stamp[kind]
	:: kind == FORK
	fi;
	told[i].stamp[kind] = NONE
}

inline apply_until(i, w) {
	if :: told[i].stamp[FORK] <= w -> apply(i, FORK) :: else fi;
	if :: told[i].stamp[EXEC] <= w -> apply(i, EXEC) :: else fi;
	if :: told[i].stamp[EXIT] <= w -> apply(i, EXIT) :: else fi;
	if :: told[i].stamp[FREE] <= w -> apply(i, FREE) :: else fi
}

#define READ_OF entry[KEY(claim)]
#ifdef PROC_ACCEPTED_BY_FREE
#define ENDED READ_OF.free
#else
#define ENDED READ_OF.exit
#endif
#define CUT READ_OF.exec

/* What /proc showed counts if the process had not ended by then and no exec fell
 * into the read. */
inline judge() {
	if
	:: shown == NONE || !READ_OF.known || READ_OF.gone
	:: else ->
		if
		:: ENDED <= to	/* refused */
		:: ENDED > to && CUT > to -> READ_OF.image[0] = shown
		:: ENDED > to && CUT < from -> READ_OF.image[1] = shown
		:: ENDED > to && CUT >= from && CUT <= to	/* which of the two was it? */
		fi
	fi;
	from = NONE; to = NONE; shown = NONE
}

inline attribute() {
	know(claim);
	/* No process is forgotten before its last sample. */
	assert(!READ_OF.gone);
	/* A sample belongs to the process that ran. */
	assert(claim == owner);
	assert(READ_OF.process == owner);
	/* Its stack is read with the image that ran. */
	assert(!stack || READ_OF.image[image] == NONE || READ_OF.image[image] == 2 * owner + image);
	sample = NONE
}

#ifdef EVICTION_AT_EXIT
#define LAST_WORD(k) entry[k].exit
#else
#define LAST_WORD(k) entry[k].free
#endif

inline evict(k, w) {
	if
	:: entry[k].known && LAST_WORD(k) <= w ->
		entry[k].gone = 1;
		entry[k].exec = NONE; entry[k].exit = NONE; entry[k].free = NONE;
		entry[k].image[0] = NONE; entry[k].image[1] = NONE
	:: else
	fi
}

inline complete(w) {
	d_step {
	apply_until(0, w);
	apply_until(1, w);
	if :: to <= w -> judge() :: else fi;
	if :: sample <= w -> attribute() :: else fi;
	evict(0, w);
	evict(1, w);
	until = w
	}
}

#ifdef ATTRIBUTION_AT_DELIVERY
/* Whatever arrives is applied, in any order. */
active proctype Rings() {
end:	do
	:: atomic { told[0].stamp[FORK] != NONE -> apply(0, FORK) }
	:: atomic { told[0].stamp[EXEC] != NONE -> apply(0, EXEC) }
	:: atomic { told[0].stamp[EXIT] != NONE -> apply(0, EXIT) }
	:: atomic { told[0].stamp[FREE] != NONE -> apply(0, FREE) }
	:: atomic { told[1].stamp[FORK] != NONE -> apply(1, FORK) }
	:: atomic { told[1].stamp[EXEC] != NONE -> apply(1, EXEC) }
	:: atomic { told[1].stamp[EXIT] != NONE -> apply(1, EXIT) }
	:: atomic { told[1].stamp[FREE] != NONE -> apply(1, FREE) }
	:: atomic { to != NONE -> judge() }
	:: atomic { sample != NONE -> attribute() }
	od
}
#endif

#define READING (from != NONE && to == NONE)

active proctype Reader() {
end:	do
	:: atomic { !asked && sampled && RUNNING -> asked = 1; from = now }
	:: atomic { READING && shown == NONE && process[0].state == LIVE -> shown = process[0].image }
	:: atomic { READING && shown == NONE && process[1].state == LIVE -> shown = 2 + process[1].image }
	:: atomic { READING -> to = now }
	od
}

#define FORGOTTEN(i) (process[i].state != FREED || !entry[KEY(i)].known || entry[KEY(i)].gone)

active proctype Table() {
	do
	:: now - 1 > until -> complete(now - 1)
	:: now - 2 > until && now > 2 -> complete(now - 2)	/* it lags behind the clock */
	:: now == LAST && !READING ->
		complete(LAST);
		assert(FORGOTTEN(0) && FORGOTTEN(1));
		break
	od
}

init {
	atomic { run Kernel(0); run Kernel(1) }
}
