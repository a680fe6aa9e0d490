// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"math/rand/v2"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// sample is the kind of the sampler's programs, the others are lifecycle events.
const sample event.Kind = 0

// program is one run of a program of the profiler, from which at most one record
// comes. It reads the clock early and makes the record visible late.
type program struct {
	kind  event.Kind
	cpu   int
	about *instance
	// parent is set for forks.
	parent *instance
	// lost: it ended without a record.
	lost bool
	// slow is what it takes to handle the record beyond the usual.
	slow event.KTime
	skew event.KTime

	start, stamp, reserve, commit, end event.KTime
	// frozen and thawed are the ends of the time in which it made no progress.
	frozen, thawed event.KTime
}

// ktime is the stamp in the record. Until the program has ended it may change.
func (p *program) ktime() event.KTime { return p.stamp - p.skew }

func (p *program) plan(at, work event.KTime, rnd *rand.Rand) {
	p.start = at
	p.stamp = at + span{0, work / 8}.draw(rnd)
	p.end = at + work
	p.commit = p.end - work/16
	p.reserve = p.commit - work/8
}

// freeze stops the program for a while from a moment within its run.
func (p *program) freeze(at, length event.KTime) {
	p.delay(at, length)
	p.frozen, p.thawed = at, at+length
}

// delay shifts what is still to come.
func (p *program) delay(at, by event.KTime) {
	for _, t := range []*event.KTime{&p.stamp, &p.reserve, &p.commit, &p.end, &p.frozen, &p.thawed} {
		if *t > at {
			*t += by
		}
	}
}

// thawedBy is when the program makes progress again, at once if it is not frozen.
func (p *program) thawedBy(at event.KTime) event.KTime {
	if p.frozen <= at && at < p.thawed {
		return p.thawed
	}
	return at
}
