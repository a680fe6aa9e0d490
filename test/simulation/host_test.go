// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"container/heap"
	"math/rand/v2"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// host is a discrete-event simulation of CPUs that run programs of the profiler.
// Time is virtual and all chance comes from one seed.
type host struct {
	scenario
	rnd      *rand.Rand
	jobs     jobs
	pushed   uint64
	cpus     []*cpu
	programs []*program
	shells   []*instance
	children []*instance
	pids     []uint32 // free, the one that waits longest first
}

type cpu struct {
	number int
	skew   event.KTime
	phase  event.KTime
	// running are the programs that have not ended, the innermost last.
	running []*program
	// current has the CPU, queue waits for it; the shell runs if nobody does.
	shell, current *instance
	queue          []*instance
	tick           func(event.KTime)
}

// job is something that happens at a time.
type job struct {
	at event.KTime
	// order makes jobs of the same time deterministic.
	order uint64
	do    func(at event.KTime)
}

type jobs []job

func (j jobs) Len() int { return len(j) }
func (j jobs) Less(a, b int) bool {
	return j[a].at < j[b].at || j[a].at == j[b].at && j[a].order < j[b].order
}
func (j jobs) Swap(a, b int) { j[a], j[b] = j[b], j[a] }
func (j *jobs) Push(x any)   { *j = append(*j, x.(job)) }
func (j *jobs) Pop() any {
	last := (*j)[len(*j)-1]
	*j = (*j)[:len(*j)-1]
	return last
}

func (h *host) at(at event.KTime, do func(event.KTime)) {
	h.pushed++
	heap.Push(&h.jobs, job{at, h.pushed, do})
}

// simulate runs a scenario and returns all that its programs did.
func simulate(s scenario, seed uint64) *stream {
	h := &host{scenario: s.orDefaults(), rnd: rand.New(rand.NewPCG(seed, 1))}
	for pid := range h.scenario.pids {
		h.pids = append(h.pids, uint32(1000+pid))
	}
	for i := range h.scenario.cpus {
		h.cpus = append(h.cpus, h.newCPU(i))
	}
	for len(h.jobs) > 0 && h.jobs[0].at < boot+h.length {
		j := heap.Pop(&h.jobs).(job)
		j.do(j.at)
	}
	return h.stream()
}

func (h *host) newCPU(number int) *cpu {
	c := &cpu{number: number, skew: span{0, h.skew}.draw(h.rnd)}
	c.shell = newInstance(uint32(number+1), 0)
	c.current = c.shell
	h.shells = append(h.shells, c.shell)
	h.at(boot+span{0, 2 * h.forkEvery}.draw(h.rnd), func(at event.KTime) { h.forkSoon(c, at) })
	if number < h.scenario.cpus-h.idle {
		c.phase = span{0, h.period() - 1}.draw(h.rnd)
		c.tick = func(at event.KTime) { h.tick(c, at) }
		h.at(boot+c.phase, c.tick)
	}
	return c
}

func (h *host) period() event.KTime { return sec / event.KTime(h.hz) }

// tick runs the sampler. Ticks that pass while it cannot run are skipped.
func (h *host) tick(c *cpu, at event.KTime) {
	if !h.asleepAt(at) {
		if free := c.busyUntil(at); free > at {
			h.at(free, c.tick)
			return
		}
		p := h.run(c, sample, c.current, at)
		// A thread that was released has no identity: nothing is sent.
		p.lost = p.lost || c.current.released
	}
	next := (at-boot-c.phase)/h.period() + 1
	h.at(boot+c.phase+next*h.period(), c.tick)
}

func (h *host) asleepAt(at event.KTime) bool {
	return h.asleep > 0 && (at-boot)%(h.awake+h.asleep) >= h.awake
}

// interrupt does something on a CPU as soon as what runs there can be interrupted.
func (h *host) interrupt(c *cpu, at event.KTime, do func(event.KTime)) {
	if free := c.busyUntil(at); free > at {
		h.at(free, func(at event.KTime) { h.interrupt(c, at, do) })
		return
	}
	do(at)
}

// resume does something at a time, or when no program runs on the CPU any more.
func (h *host) resume(c *cpu, at event.KTime, do func(event.KTime)) {
	h.at(at, func(at event.KTime) {
		if c.leaveEnded(at); len(c.running) > 0 {
			h.resume(c, c.running[0].end, do)
			return
		}
		do(at)
	})
}

// after does something when a program has ended.
func (h *host) after(p *program, do func(event.KTime)) {
	h.at(p.end, func(at event.KTime) {
		if p.end > at { // it was interrupted
			h.after(p, do)
			return
		}
		do(at)
	})
}

// maxNesting is how many programs may interrupt each other on a CPU.
const maxNesting = 3

// busyUntil is when an interrupt that is due can run: now, unless the CPU is
// frozen or runs what cannot be interrupted.
func (c *cpu) busyUntil(at event.KTime) event.KTime {
	if c.leaveEnded(at); len(c.running) == 0 {
		return at
	}
	inner := c.running[len(c.running)-1]
	if inner.kind == sample || len(c.running) == maxNesting {
		return inner.end
	}
	return inner.thawedBy(at)
}

func (c *cpu) leaveEnded(at event.KTime) {
	c.running = slices.DeleteFunc(c.running, func(p *program) bool { return p.end <= at })
}

// run starts a program now, inside of those that run on the CPU.
func (h *host) run(c *cpu, kind event.Kind, about *instance, at event.KTime) *program {
	p := &program{kind: kind, cpu: c.number, skew: c.skew, about: about, lost: h.full.draw(h.rnd)}
	if h.slow.draw(h.rnd) {
		p.slow = h.handling.draw(h.rnd)
	}
	p.plan(at, h.work(kind), h.rnd)
	if h.frozen.draw(h.rnd) {
		p.freeze(span{at, p.end}.draw(h.rnd), h.scenario.freeze.draw(h.rnd))
	}
	for _, outer := range c.running {
		outer.delay(at, p.end-at)
	}
	c.running = append(c.running, p)
	h.programs = append(h.programs, p)
	return p
}

// work is how long a program runs by itself: microseconds, rarely milliseconds.
func (h *host) work(kind event.Kind) event.KTime {
	usual := span{500, 4 * us}
	if kind == sample {
		usual = span{2 * us, 20 * us}
	}
	w := usual.draw(h.rnd)
	for range 9 {
		if h.rnd.IntN(4) > 0 {
			break
		}
		w *= 2
	}
	return w
}
