// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"

// apply takes a lifecycle record that is covered by the completion. Applying it
// twice changes nothing.
func (t *Table) apply(r *event.Lifecycle) {
	switch r.Kind {
	case event.Fork:
		t.fork(r)
	case event.Exec:
		t.exec(r)
	case event.Exit:
		t.exit(r.Proc, r.KTime)
	case event.Free:
		t.free(r.Proc, r.KTime)
	}
}

func (t *Table) exec(r *event.Lifecycle) {
	l := t.begin(r)
	if l == nil {
		t.skipped = max(t.skipped, r.KTime)
		return
	}
	if l.memory == nil || l.memory.proven < r.KTime {
		t.versions++
		l.memory = &memory{version: t.versions, proven: r.KTime, fresh: true}
	}
}

func (t *Table) fork(r *event.Lifecycle) {
	if in := t.instances[r.Proc]; in != nil {
		if l := in.life(r.Generation); l != nil && l.lo == r.KTime && l.hi == r.KTime {
			return // the same record again
		}
	}
	l := t.begin(r)
	if l == nil {
		t.stats.Refused++
		return
	}
	l.Worker = r.Worker
	in := l.owner
	if l.memory != nil && l.memory.proven == 0 {
		l.memory = nil // of who had the PID before
	}
	for _, l := range in.lives {
		l.Parent = r.Parent
	}
	if p := t.instances[r.Parent]; p != nil {
		if pl := p.life(r.ParentGeneration); pl != nil {
			l.share(pl, r.KTime)
			t.inherit(l, pl, r)
		}
	}
}

// begin notes the begin of a life. Nil: no room.
func (t *Table) begin(r *event.Lifecycle) *Life {
	in := t.instances[r.Proc]
	if in == nil {
		if in = t.create(r.Proc, r.KTime); in == nil {
			return nil
		}
	}
	in.unsure = false // its exit is yet to come
	l := in.life(r.Generation)
	if l == nil {
		l = t.insert(in, r.Generation, r.KTime, r.KTime)
	}
	l.exact(r.KTime, r.Comm)
	l.Cgroup = r.Cgroup
	return l
}

// anyTime is the stamp of an exit whose record was missed: /proc is not believed.
const anyTime event.KTime = 1

// exit notes X. Without an instance the stamp alone is kept.
func (t *Table) exit(p event.ProcID, k event.KTime) {
	in := t.instances[p]
	if in == nil {
		t.haunt(p, k)
		return
	}
	if in.exit == 0 || k < in.exit {
		in.exit = k
	}
	if in.in == nil && in.free == 0 {
		t.exiting.push(in)
	}
}

// haunt remembers the exit of an instance that is not in the table.
func (t *Table) haunt(p event.ProcID, k event.KTime) {
	if old, ok := t.ghosts[p]; ok {
		t.ghosts[p] = min(old, k)
		return
	}
	if len(t.ghosts) >= t.settings.MaxProcesses {
		t.forgot = true
		return
	}
	t.ghosts[p] = k
}

// free notes F. An unknown instance gets an entry without a life, which goes at
// the next Evict: a sample from before F may still ask for it until then.
func (t *Table) free(p event.ProcID, k event.KTime) {
	in := t.instances[p]
	if in == nil {
		in = &instance{proc: p, born: k}
		t.add(in)
	}
	if in.exit == 0 {
		in.exit = anyTime
	}
	if in.free == 0 {
		in.leave()
		t.dead = append(t.dead, in)
		in.free = k
	}
	in.free = min(in.free, k)
}

// create makes an instance whose first evidence is of time k. Nil: no room.
func (t *Table) create(p event.ProcID, k event.KTime) *instance {
	if !t.makeRoom() {
		return nil
	}
	if t.pids[p.PID].instances > 0 {
		t.stats.PIDReuses++
	}
	in := &instance{proc: p, born: k}
	t.add(in)
	if in.exit != 0 {
		t.exiting.push(in)
	}
	return in
}

// add enters the instance, with the exit its ghost remembers.
func (t *Table) add(in *instance) {
	t.instances[in.proc] = in
	p := t.pids[in.proc.PID]
	p.instances++
	t.pids[in.proc.PID] = p
	if x, ok := t.ghosts[in.proc]; ok {
		in.exit = x
		delete(t.ghosts, in.proc)
	}
}

// insert makes a life. With the first the instance may own its PID, with several it
// is listed for Evict.
func (t *Table) insert(in *instance, g event.Generation, lo, hi event.KTime) *Life {
	l := in.insert(g, lo, hi)
	if len(in.lives) == 1 {
		t.own(in)
	}
	if len(in.lives) > 1 && !in.several {
		in.several = true
		t.several = append(t.several, in)
	}
	return l
}
