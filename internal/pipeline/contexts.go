// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/service"
)

// ContextRequest asks for the process context that a process publishes.
type ContextRequest struct {
	PID  uint32
	life *process.Life
	// Published is which one is known, 0 for none: if it is that still, there is nothing to
	// read.
	Published uint64
}

// ContextAnswer is what became of a request.
type ContextAnswer struct {
	ContextRequest
	// To is when the read was over, StartTick the start of who was read in ticks of 10 ms, as
	// in process.Answer.
	To        event.KTime
	StartTick uint64
	Outcome   ContextOutcome
	// Published and Service are those of the context that was read.
	Published uint64
	Service   service.Service
}

// ContextOutcome is what became of a look at a process context.
type ContextOutcome uint8

// ContextRead brought one. ContextUnchanged: it is known. ContextAbsent: there is none.
// ContextMalformed, ContextTorn and ContextUnreadable: it is not understood, was changing all
// the time, or its memory could not be read. ContextRefused: the process was over by then.
const (
	ContextRead ContextOutcome = iota
	ContextUnchanged
	ContextAbsent
	ContextMalformed
	ContextTorn
	ContextUnreadable
	ContextRefused
	ContextOutcomes
)

// Contexts counts looks at process contexts, indexed by ContextOutcome.
type Contexts [ContextOutcomes]uint64

const (
	// A context is published some time after the start of a process, in most cases once, and
	// no record tells. So it is looked for at the first sample and again after these times,
	// each twice as long as the one before, and from the first on after each change.
	minContextInterval event.KTime = 1_000_000_000
	maxContextInterval event.KTime = 64_000_000_000
	// maxContextRequests bounds the requests that wait.
	maxContextRequests = 256
)

// contexts knows the process contexts of lives. None is inherited: that of a fork's parent
// is not mapped in the fork, and an exec unmaps it.
type contexts struct {
	on    bool
	lives map[*process.Life]*context
	queue []ContextRequest
	// answers wait for the completion that covers them.
	answers []ContextAnswer
	stats   Contexts
}

type context struct {
	service   service.Service
	published uint64
	// The next look is asked for by the first sample after next.
	next, interval event.KTime
	asked          bool // and not answered
}

func newContexts(on bool) *contexts {
	return &contexts{on: on, lives: map[*process.Life]*context{}}
}

// sampled asks for the context of a life that has a sample of time k, if it is due.
func (c *contexts) sampled(life *process.Life, k event.KTime) {
	if !c.on || life.Worker || !life.Current() {
		return
	}
	known := c.lives[life]
	if known == nil {
		known = &context{interval: minContextInterval}
		c.lives[life] = known
	}
	if known.asked || k < known.next || len(c.queue) >= maxContextRequests {
		return
	}
	known.asked = true
	c.queue = append(c.queue, ContextRequest{life.Proc.PID, life, known.published})
}

// of returns what a life's context says.
func (c *contexts) of(life *process.Life) service.Service {
	if known := c.lives[life]; known != nil {
		return known.service
	}
	return service.Service{}
}

func (c *contexts) requests(n int) []ContextRequest {
	n = min(n, len(c.queue))
	out := c.queue[:n:n]
	c.queue = c.queue[n:]
	return out
}

// complete takes over the answers that w covers, if they are of the life asked for.
func (c *contexts) complete(w event.KTime) {
	c.answers = slices.DeleteFunc(c.answers, func(a ContextAnswer) bool {
		if a.To > w {
			return false
		}
		c.stats[c.settle(&a)]++
		return true
	})
}

func (c *contexts) settle(a *ContextAnswer) ContextOutcome {
	known := c.lives[a.life]
	if known == nil {
		return ContextRefused // it has been forgotten
	}
	known.asked = false
	known.next = a.To + known.interval
	known.interval = min(2*known.interval, maxContextInterval)
	if a.Outcome != ContextRead {
		return a.Outcome
	}
	if !a.life.Ran(a.To) || !a.life.Started(a.StartTick) {
		return ContextRefused
	}
	known.service, known.published = a.Service, a.Published
	known.next, known.interval = a.To+minContextInterval, 2*minContextInterval
	return ContextRead
}

// forget drops lives that are over.
func (c *contexts) forget(lives []*process.Life) {
	for _, life := range lives {
		delete(c.lives, life)
	}
}
