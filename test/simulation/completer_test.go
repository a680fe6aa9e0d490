// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/watermark"
)

const (
	// readCost is how long it takes to read one record.
	readCost = 2 * us
	// completeCost is how long a completion takes: a message, and a look at the
	// processes that have ended.
	completeCost = 50 * us

	pollInterval       = 250 * ms
	completionInterval = 500 * ms
	retryBusy          = 2 * ms
	never              = event.KTime(1) << 62
)

// completer drains rings and completes as the barrier and poll goroutines of
// package receiver do.
type completer struct {
	now    event.KTime
	stream *stream
	mark   *watermark.Watermark
	tally  *tally
	names  *named
	poll   *ticker
	grace  gracePeriods
	// heads and positions count records of each ring, due are the heads of the
	// round that is open.
	heads, positions, due []uint64
	// overdue is how often a round was open although nothing held it.
	overdue int
	// t0 and passed are the begin and the end of the barrier that is under way,
	// taken is the end of the last one.
	t0, passed, taken event.KTime
	// longest is the longest barrier, and the longest time from one to the end of
	// its round.
	longest struct{ barrier, drain event.KTime }
	// kept is how many processes were known in the end, most how many may be.
	kept, most int
}

func complete(s *stream) *completer {
	c := &completer{
		now: boot, stream: s, tally: &tally{stream: s}, names: newNamed(s), poll: newTicker(pollInterval),
		mark:  watermark.New(len(s.rings), watermark.Guard),
		grace: gracePeriods{programs: s.programs, beyond: s.grace, rnd: rand.New(rand.NewPCG(s.seed, 3))},
		heads: make([]uint64, len(s.rings)), positions: make([]uint64, len(s.rings)), due: make([]uint64, len(s.rings)),
	}
	ticks := newTicker(completionInterval)
	c.barrier(ticks)
	for {
		poll, retry := c.poll.next, never
		if c.mark.Open() {
			retry = c.now + retryBusy
		}
		switch {
		case !c.mark.Open() && c.passed <= max(poll, c.now):
			if c.now = max(c.now, c.passed); c.now >= s.end {
				return c.over()
			}
			c.taken = c.passed
			c.snapshot()
			copy(c.due, c.heads)
			c.mark.Barrier(c.t0, c.heads)
			c.barrier(ticks)
			c.round()
			continue
		case retry < poll:
			c.now = retry
		default:
			c.now = c.poll.take(c.now)
		}
		if c.now >= s.end {
			return c.over()
		}
		c.snapshot()
		c.round()
	}
}

// barrier waits for its tick and for a grace period. It begins when the poll
// goroutine has taken the last one.
func (c *completer) barrier(ticks *ticker) {
	c.t0 = ticks.take(c.now)
	c.passed = c.grace.wait(c.t0)
	c.longest.barrier = max(c.longest.barrier, c.passed-c.t0)
}

func (c *completer) snapshot() {
	for i, ring := range c.stream.rings {
		c.heads[i] = uint64(sort.Search(len(ring), func(n int) bool { return ring[n].reserve > c.now }))
	}
}

func (c *completer) round() {
	for i := range c.heads {
		c.drain(i)
		c.mark.Drained(i, c.positions[i])
	}
	if until, ok := c.mark.Complete(); ok {
		c.longest.drain = max(c.longest.drain, c.now-c.taken)
		c.tally.complete(until, c.now)
		c.names.complete(until, c.now)
		c.now += completeCost
	}
	c.tally.roundOver(c.now)
	if c.mark.Open() && c.drained() {
		c.overdue++
	}
}

// drained reports whether every ring has been read to where the round ends.
func (c *completer) drained() bool {
	for i, due := range c.due {
		if c.positions[i] < due {
			return false
		}
	}
	return true
}

func (c *completer) drain(i int) {
	limit := c.heads[i]
	if c.stream.visit > 0 {
		limit = min(limit, c.positions[i]+uint64(c.stream.visit))
	}
	for ; c.positions[i] < limit; c.positions[i]++ {
		p := c.stream.rings[i][c.positions[i]]
		if p.commit > c.now {
			return
		}
		c.now += readCost + p.slow
		c.tally.deliver(p)
		c.names.deliver(p)
	}
}

// over ends the simulation, with a look at what is left behind the completions.
func (c *completer) over() *completer {
	c.tally.over(c.stream.end)
	if c.mark.Open() {
		c.longest.drain = max(c.longest.drain, c.now-c.taken)
	}
	for i, ring := range c.stream.rings {
		for _, p := range ring[c.positions[i]:] {
			c.names.deliver(p)
		}
	}
	c.kept, c.most = c.names.settle()
	return c
}

// gracePeriods knows which programs a grace period waits for.
type gracePeriods struct {
	// programs have not started yet, running have.
	programs, running []*program
	beyond            span
	rnd               *rand.Rand
}

// wait returns when every program that was running at t0 has ended, and some time
// has passed. Calls ascend.
func (g *gracePeriods) wait(t0 event.KTime) event.KTime {
	n := sort.Search(len(g.programs), func(n int) bool { return g.programs[n].start >= t0 })
	g.running = append(g.running, g.programs[:n]...)
	g.programs = g.programs[n:]
	g.running = slices.DeleteFunc(g.running, func(p *program) bool { return p.end <= t0 })
	end := t0
	for _, p := range g.running {
		end = max(end, p.end)
	}
	return end + g.beyond.draw(g.rnd)
}
