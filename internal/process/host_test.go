// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// host simulates the processes of a machine and keeps everything for ever. PIDs
// are few and given away again at once; time passes so slowly that many lives
// share a tick.
type host struct {
	rnd     *rand.Rand
	now     event.KTime
	pids    []*proc // who owns each PID now, or nil
	undead  []*proc // released, not freed yet
	truth   map[lifeKey]*truth
	version int

	records []event.Lifecycle // not delivered yet
	mapped  []event.Mapped    // not delivered yet
	samples []event.Sample    // not delivered yet
	// hits are what samples hit.
	hits map[hitKey]content
	// losesMapped makes records of mappings vanish.
	losesMapped func() bool
	// slow: it may take an exec any time from its stamp to the new generation, as
	// if preempted there; else less than settle.
	slow bool
	// anonymous: who was released gives no samples, as the sampler has it.
	anonymous bool
	// loses makes records vanish.
	loses func(event.Kind) bool
}

type lifeKey struct {
	proc event.ProcID
	gen  event.Generation
}

// truth is what one generation of an instance had mapped over time.
type truth struct {
	versions map[string]bool
	parent   event.ProcID
	comm     event.Comm
	stamped  event.KTime // the exec that ended it, or zero
	// held is what each slot of its memory ever held.
	held map[content]bool
	// recorded: all that it mapped was recorded.
	recorded bool
}

type proc struct {
	id      event.ProcID
	gen     event.Generation
	version string // of the memory; a new one by exec and by mapping a library
	exiting bool
	// inExec: the update lock is held, reads of /proc wait. stamped: the Exec
	// record is out, but the generation has not been counted up.
	inExec, stamped bool
	space           space
}

func newHost(seed uint64, pids int) *host {
	return &host{rnd: rand.New(rand.NewPCG(seed, 1)), now: 1_000_000_000, pids: make([]*proc, pids),
		truth: map[lifeKey]*truth{}, hits: map[hitKey]content{},
		loses: func(event.Kind) bool { return false }, losesMapped: func() bool { return false }}
}

func (h *host) chance(n int) bool { return h.rnd.IntN(n) == 0 }

// pass lets time go by: mostly a little, at times many ticks.
func (h *host) pass() {
	for _, p := range h.pids {
		if p != nil && p.stamped && !h.slow && h.now > h.know(p).stamped+settle/2 {
			h.exec(p)
		}
	}
	switch {
	case h.stamped() && !h.slow:
		h.now += 1 + event.KTime(h.rnd.IntN(int(settle/2)))
	case h.chance(100):
		h.now += event.KTime(h.rnd.IntN(40_000_000))
	case h.chance(10):
		h.now += event.KTime(h.rnd.IntN(3_000_000))
	default:
		h.now += 1 + event.KTime(h.rnd.IntN(2000))
	}
}

func (h *host) stamped() bool {
	return slices.ContainsFunc(h.pids, func(p *proc) bool { return p != nil && p.stamped })
}

func (h *host) record(r event.Lifecycle) {
	r.KTime = h.now
	if h.loses(r.Kind) {
		return
	}
	h.records = append(h.records, r)
	if h.chance(20) {
		h.records = append(h.records, r) // a duplicate must not matter
	}
}

func (h *host) newVersion() string {
	h.version++
	return fmt.Sprint("v", h.version)
}

func (h *host) know(p *proc) *truth {
	k := lifeKey{p.id, p.gen}
	if h.truth[k] == nil {
		h.truth[k] = &truth{versions: map[string]bool{}, held: map[content]bool{}}
	}
	h.truth[k].versions[p.version] = true
	return h.truth[k]
}

// any returns a process that still owns its PID, or nil.
func (h *host) any() *proc { return h.pids[h.rnd.IntN(len(h.pids))] }

// fork gives a free PID to a child of a random process, or of nobody.
func (h *host) fork() *proc {
	at := h.rnd.IntN(len(h.pids))
	if h.pids[at] != nil {
		return nil
	}
	p := &proc{id: event.ProcID{PID: uint32(at + 1), Start: event.BootTime(h.now) + 5_000_000_123}}
	r := event.Lifecycle{Kind: event.Fork, Proc: p.id, Comm: event.Comm{'f', byte(at)}}
	if parent := h.any(); parent != nil && !parent.exiting && !parent.inExec {
		p.gen, p.version = parent.gen, parent.version
		r.Parent, r.ParentGeneration = parent.id, parent.gen
		t := h.know(p)
		for v := range h.know(parent).versions { // what was true up to the fork
			t.versions[v] = true
		}
		p.space = parent.space.fork()
		r.ParentThreads = 1
		if h.chance(4) { // another thread maps something before the fork is stamped
			r.ParentThreads, p.space.known = 2, false
			h.mmap(parent)
			h.now += 1 + event.KTime(h.rnd.IntN(2000))
		}
		for c := range h.know(parent).held {
			t.held[c] = true
		}
	} else {
		p.gen, p.version = event.Generation(h.rnd.IntN(3)), h.newVersion()
	}
	t := h.know(p)
	t.parent, t.comm = r.Parent, r.Comm
	p.space.hold(t)
	t.recorded = p.space.known
	r.Generation = p.gen
	h.pids[at] = p
	h.record(r)
	return p
}

// exec goes one step: lock, stamp, count up and unlock.
func (h *host) exec(p *proc) {
	switch {
	case p.exiting:
	case !p.inExec:
		p.inExec = true
	case !p.stamped:
		p.stamped = true
		h.know(p).stamped = h.now
		h.record(event.Lifecycle{Kind: event.Exec, Proc: p.id, Generation: p.gen + 1, Comm: event.Comm{'e'}})
	default:
		old := h.know(p)
		p.inExec, p.stamped = false, false
		p.gen, p.version = p.gen+1, h.newVersion()
		t := h.know(p)
		t.parent, t.comm = old.parent, event.Comm{'e'}
		p.space, t.recorded = space{known: true}, true
		h.mmap(p)
	}
}

// end goes one step: exit, then release, after which the PID is free.
func (h *host) end(p *proc) {
	switch {
	case p.inExec:
	case !p.exiting:
		p.exiting = true
		h.record(event.Lifecycle{Kind: event.Exit, Proc: p.id, Generation: p.gen})
	default:
		h.pids[p.id.PID-1] = nil
		h.undead = append(h.undead, p)
	}
}

// list is what an iteration over all tasks shows.
func (h *host) list() []Task {
	tasks := []Task{}
	for _, p := range h.pids {
		if p != nil {
			tasks = append(tasks, Task{Proc: p.id, Generation: p.gen, Comm: h.know(p).comm})
		}
	}
	return tasks
}

// free frees one of the released.
func (h *host) free() {
	if len(h.undead) == 0 {
		return
	}
	i := h.rnd.IntN(len(h.undead))
	p := h.undead[i]
	h.undead = append(h.undead[:i], h.undead[i+1:]...)
	h.record(event.Lifecycle{Kind: event.Free, Proc: p.id, Generation: p.gen})
}

// sample hits a process that is not freed, dying ones too.
func (h *host) sample(p *proc) {
	if len(h.undead) > 0 && h.chance(4) && !h.anonymous {
		p = h.undead[h.rnd.IntN(len(h.undead))]
	}
	if p == nil {
		return
	}
	s := event.Sample{KTime: h.now, Proc: p.id, Generation: p.gen, TID: p.id.PID + uint32(h.rnd.IntN(2)),
		Comm: event.Comm{'t'}}
	switch {
	case p.exiting:
		s.UserStack = event.UserExit
	case p.inExec:
		s.UserStack = event.UserExec
	default:
		h.hit(p, &s)
	}
	h.samples = append(h.samples, s)
}

// read is one look at /proc by handle: the tick first, two more looks at random
// moments later. It is wrong in every way the real one can be.
type read struct {
	Answer
	of     *proc
	looks  int
	seen   [2]string
	maps   []event.Mapping
	failed bool
}

func (h *host) open(r Request) *read {
	rd := &read{Answer: Answer{Request: r, From: h.now}}
	if int(r.Proc.PID) <= len(h.pids) {
		rd.of = h.pids[r.Proc.PID-1]
	}
	rd.Gone = rd.of == nil
	if rd.of != nil {
		rd.StartTick = uint64(rd.of.id.Start) / tick
	}
	return rd
}

// look goes one step; true: done.
func (h *host) look(rd *read) bool {
	if rd.Gone {
		rd.To = h.now
		return true
	}
	switch p := rd.of; {
	case p.inExec:
		return false // waits for the lock
	case h.pids[p.id.PID-1] != p:
		rd.failed = true // the handle is dead
	case p.exiting:
		rd.seen[rd.looks] = "empty" // no memory any more
	default:
		rd.seen[rd.looks] = p.version
		rd.maps = append(rd.maps, p.space.show(rd.looks)...)
	}
	rd.looks++
	if rd.looks < 2 && !rd.failed {
		return false
	}
	rd.To = h.now
	if !rd.failed && !h.chance(30) {
		rd.Image = &Image{Executable: rd.seen[0], ContainerID: rd.seen[1]}
		rd.Mappings = rd.maps
	}
	return true
}
