// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"

// instance is one process: everything the table knows under one ProcID.
type instance struct {
	proc event.ProcID
	// lives ascend by generation. Empty: only announced so far.
	lives []*Life
	first [1]*Life // memory of the usual case
	// born is the stamp of the first evidence of this instance.
	born event.KTime
	// exit is X, after which /proc may speak of another process; zero: none known.
	exit event.KTime
	// free is F, after which no sample can come; zero: none known.
	free event.KTime
	// gone: /proc does not have it any more.
	gone bool
	// unsure: an exec or exit may have been missed for want of room before the
	// instance was entered, so it is not certain what /proc shows.
	unsure bool
	// several: listed in Table.several.
	several bool
	// mark is the last reconciliation that found it alive.
	mark uint64

	reads reads

	// in is the queue that links it through prev and next, or nil.
	in         *queue
	prev, next *instance
}

// reads is the state of an instance's /proc reads.
type reads struct {
	// flying is how many requests have no answer yet.
	flying int
	// asked is the newest generation asked for, tries how often without success.
	asked event.Generation
	tries int
	// missed is the time of the last sample that asked for a re-read; zero: none.
	missed event.KTime
	// doubted is when doubt last asked for a re-read, by W.
	doubted event.KTime
}

// life returns the record of a generation, or nil.
func (in *instance) life(g event.Generation) *Life {
	for i := len(in.lives) - 1; i >= 0; i-- {
		if in.lives[i].Generation == g {
			return in.lives[i]
		}
	}
	return nil
}

// newest returns the record of the newest generation known, or nil.
func (in *instance) newest() *Life {
	if len(in.lives) == 0 {
		return nil
	}
	return in.lives[len(in.lives)-1]
}

// insert makes the record of a generation that began in [lo, hi], which are
// narrowed by what is known of its neighbours.
func (in *instance) insert(g event.Generation, lo, hi event.KTime) *Life {
	i := len(in.lives)
	for i > 0 && in.lives[i-1].Generation > g {
		i--
	}
	l := &Life{Proc: in.proc, Generation: g, owner: in, sight: &sight{}, until: forever}
	if i > 0 {
		l.Parent, l.Cgroup = in.lives[i-1].Parent, in.lives[i-1].Cgroup
		lo = max(lo, in.lives[i-1].hi)
	}
	if i < len(in.lives) {
		l.Parent = in.lives[i].Parent
		hi = min(hi, in.lives[i].hi)
		l.stray = true
	}
	l.lo, l.hi = min(lo, hi), hi
	if in.lives == nil {
		in.lives = in.first[:0]
	}
	in.lives = append(in.lives, nil)
	copy(in.lives[i+1:], in.lives[i:])
	in.lives[i] = l
	return l
}

// queue links instances in the order of their arrival. An instance is in at
// most one.
type queue struct {
	head, tail *instance
	n          int
}

func (q *queue) push(in *instance) {
	in.in, in.prev, in.next = q, q.tail, nil
	if q.tail != nil {
		q.tail.next = in
	} else {
		q.head = in
	}
	q.tail = in
	q.n++
}

// leave takes the instance out of its queue, if it is in one.
func (in *instance) leave() {
	q := in.in
	if q == nil {
		return
	}
	if in.prev != nil {
		in.prev.next = in.next
	} else {
		q.head = in.next
	}
	if in.next != nil {
		in.next.prev = in.prev
	} else {
		q.tail = in.prev
	}
	in.in, in.prev, in.next = nil, nil, nil
	q.n--
}
