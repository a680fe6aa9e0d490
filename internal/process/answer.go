// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"cmp"
	"math"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Answer is what /proc said. All of it was read through one handle of the
// process's directory.
type Answer struct {
	Request
	// The read began after From and was over before To.
	From, To event.KTime
	// StartTick is the start time of who was read, in ticks of 10 ms.
	StartTick uint64
	// Image is nil if it could not be read.
	Image *Image
	// Mappings are the executable ones, ascending and without overlap. Truncated: there
	// are more.
	Mappings  []event.Mapping
	Truncated bool
	// Malformed counts the environment variables about its service that say nothing.
	Malformed int
	// Gone: /proc had no such process.
	Gone bool
}

// end is how far the addresses of the read went.
func (a *Answer) end() uint64 {
	if n := len(a.Mappings); a.Truncated && n > 0 {
		return a.Mappings[n-1].End
	}
	return math.MaxUint64
}

// outcome is what became of an answer.
type outcome uint8

const (
	accepted outcome = iota
	refusedTick
	refusedExit
	refusedExec
	wasGone
	failed
	unknown
)

// decide accepts or refuses an answer. Every lifecycle record up to a.To has been
// applied, and perhaps later ones.
func (t *Table) decide(a *Answer) {
	in := t.instances[a.Proc]
	if in == nil {
		t.stats.Answers.count(unknown)
		return
	}
	in.reads.flying = max(0, in.reads.flying-1)
	o := t.judge(in, a)
	t.stats.Answers.count(o)
	switch o {
	case accepted:
		in.reads.tries = 0
	case wasGone:
		in.gone = true
	case refusedTick, refusedExec, failed:
		t.again(in, a.Generation)
	}
}

// judge attaches the image of an answer to the life it certainly belongs to.
func (t *Table) judge(in *instance, a *Answer) outcome {
	switch {
	case a.Gone:
		return wasGone
	case a.StartTick != uint64(in.proc.Start)/tick:
		return refusedTick
	case in.unsure, in.exit != 0 && in.exit <= a.To:
		// From the exit on the PID may be another's, of the same tick even.
		return refusedExit
	case a.Image == nil:
		return failed
	}
	l := t.readLife(in, a)
	if l == nil {
		return refusedExec
	}
	if l.see(a.Image, a.From, a.To) {
		t.stats.VariablesMalformed += uint64(a.Malformed) // another read finds the same again
	}
	memory := t.change(l)
	t.stats.MappedRefused += uint64(memory.take(a.Mappings, a.end(), a.From, a.To, l.fed))
	memory.executable = cmp.Or(memory.executable, a.Image.Executable)
	return accepted
}

// readLife returns the generation that was current during the whole read, or nil
// if that is not certain.
func (t *Table) readLife(in *instance, a *Answer) *Life {
	if n := in.newest(); a.From > 0 && (n == nil || n.Generation < a.Generation) {
		// The record of its beginning was lost or the instance is older than us.
		t.insert(in, a.Generation, 0, a.From-1).fed = a.To
	}
	i := len(in.lives) - 1
	for ; i >= 0; i-- {
		l := in.lives[i]
		if l.Generation <= a.Generation && l.hi >= a.From && a.From > l.lo {
			l.hi = a.From - 1 // the request is proof that it had begun
		}
		if l.hi < a.From {
			break
		}
		if l.lo <= a.To {
			return nil // it may have begun during the read
		}
	}
	if i < 0 || in.lives[i].stray {
		return nil
	}
	if i+1 < len(in.lives) && in.lives[i+1].Generation != in.lives[i].Generation+1 {
		return nil // one in between was never seen
	}
	return in.lives[i]
}

// again repeats a read that brought nothing, within limits.
func (t *Table) again(in *instance, g event.Generation) {
	if l := in.newest(); l != nil {
		t.want(in, l)
		return
	}
	t.ask(in, g)
}

func (c *Outcomes) count(o outcome) {
	switch o {
	case accepted:
		c.Accepted++
	case refusedTick:
		c.RefusedTick++
	case refusedExit:
		c.RefusedExit++
	case refusedExec:
		c.RefusedExec++
	case wasGone:
		c.Gone++
	case failed:
		c.Failed++
	case unknown:
		c.Unknown++
	}
}
