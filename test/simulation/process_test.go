// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"encoding/binary"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// instance is a process. Its name is its own: who knows it has not mixed it up.
type instance struct {
	id   event.ProcID
	name event.Comm
	// listed is when an iteration over all tasks begins to show it, unlisted when
	// it ends to.
	listed, unlisted event.KTime
	// released: it has given its PID back, and may run a little more.
	released bool
	// unannounced: the record of its fork was lost.
	unannounced bool
}

func newInstance(pid uint32, at event.KTime) *instance {
	p := &instance{id: event.ProcID{PID: pid, Start: event.BootTime(at)}, listed: at}
	binary.BigEndian.PutUint32(p.name[0:], pid)
	binary.BigEndian.PutUint64(p.name[4:], uint64(at)+1)
	return p
}

func (p *instance) task() event.Task { return event.Task{Proc: p.id, Comm: p.name} }

// forkSoon lets the shell of a CPU fork, and plans the next time.
func (h *host) forkSoon(c *cpu, at event.KTime) {
	every := h.forkEvery
	if (at-boot)%sec >= 9*sec/10 {
		every = h.stormEvery
	}
	h.at(at+span{1, 2 * every}.draw(h.rnd), func(at event.KTime) { h.forkSoon(c, at) })
	h.interrupt(c, at, func(at event.KTime) {
		if len(h.pids) > 0 {
			h.fork(c, at)
		}
	})
}

// fork makes a child that runs, wherever there is room, once the fork is over.
func (h *host) fork(c *cpu, at event.KTime) {
	child := newInstance(h.pids[0], at)
	h.pids = h.pids[1:]
	h.children = append(h.children, child)
	fork := h.run(c, event.Fork, child, at)
	fork.parent = c.shell
	child.unannounced = fork.lost
	h.after(fork, func(at event.KTime) {
		on := h.cpus[h.rnd.IntN(len(h.cpus))]
		if on.queue = append(on.queue, child); on.current == on.shell {
			h.next(on, at)
		}
	})
}

// next gives the CPU to who waits for it.
func (h *host) next(c *cpu, at event.KTime) {
	if len(c.queue) == 0 {
		c.current = c.shell
		return
	}
	p := c.queue[0]
	c.current, c.queue = p, c.queue[1:]
	h.at(at+h.life.draw(h.rnd), func(at event.KTime) {
		h.interrupt(c, at, func(at event.KTime) { h.exit(c, p, at) })
	})
}

// exit ends the current process of a CPU. Between its exit and its last moment on
// the CPU its PID is given back; its memory is freed later, on any CPU.
func (h *host) exit(c *cpu, p *instance, at event.KTime) {
	h.after(h.run(c, event.Exit, p, at), func(at event.KTime) {
		h.resume(c, at+span{0, 300 * us}.draw(h.rnd), func(at event.KTime) {
			p.released, p.unlisted = true, at
			h.pids = append(h.pids, p.id.PID)
			h.resume(c, at+span{0, 100 * us}.draw(h.rnd), func(at event.KTime) {
				h.next(c, at)
				h.freeSoon(p, at)
			})
		})
	})
}

func (h *host) freeSoon(p *instance, at event.KTime) {
	c := h.cpus[h.rnd.IntN(len(h.cpus))]
	h.at(at+span{5 * ms, 25 * ms}.draw(h.rnd), func(at event.KTime) {
		h.interrupt(c, at, func(at event.KTime) { h.run(c, event.Free, p, at) })
	})
}
