// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"

// Eviction is what a completion put an end to.
type Eviction struct {
	// Gone are lives that no sample can belong to any more.
	Gone []*Life
	// Idle are the lives of exited instances that nobody reaps. They stay, but
	// their images are dropped; so should be what else is heavy about them.
	Idle []*Life
	// Freed has, for each instance that went because it was freed, when that was.
	Freed []event.KTime
}

// Evict ends the round of the completion w: freed instances and superseded
// generations leave the table. The result is valid until the next call.
func (t *Table) Evict(w event.KTime) Eviction {
	t.buryDead(w)
	t.dropSuperseded(w)
	t.emptyZombies(w)
	clear(t.handed.Gone)
	clear(t.handed.Idle)
	out := t.eviction
	t.eviction = Eviction{Gone: shrink(t.handed.Gone[:0]), Idle: shrink(t.handed.Idle[:0]), Freed: shrink(t.handed.Freed[:0])}
	t.handed = out
	return out
}

func (t *Table) buryDead(w event.KTime) {
	n := 0
	for _, in := range t.dead {
		if in.free > w {
			t.dead[n] = in
			n++
			continue
		}
		if len(in.lives) > 0 {
			t.stats.Evictions++
			t.eviction.Freed = append(t.eviction.Freed, in.free)
		}
		t.remove(in)
	}
	clear(t.dead[n:])
	t.dead = shrink(t.dead[:n])
}

// dropSuperseded removes the generations that a later one replaced by w.
func (t *Table) dropSuperseded(w event.KTime) {
	n := 0
	for _, in := range t.several {
		for len(in.lives) > 1 && in.lives[1].hi+settle <= w {
			t.eviction.Gone = append(t.eviction.Gone, in.lives[0])
			t.stats.Superseded++
			in.lives[0] = nil
			in.lives = in.lives[1:]
		}
		if len(in.lives) > 1 {
			t.several[n] = in
			n++
			continue
		}
		in.several = false
		if len(in.lives) == 1 { // forget the longer array
			in.first[0] = in.lives[0]
			in.lives = in.first[:1]
		}
	}
	clear(t.several[n:])
	t.several = shrink(t.several[:n])
}

// emptyZombies drops the images of those that exited long ago.
func (t *Table) emptyZombies(w event.KTime) {
	if w < t.swept+linger/2 {
		return // so that those of some seconds share a reconciliation
	}
	t.swept = w
	for in := t.exiting.head; in != nil && in.exit+linger <= w; in = t.exiting.head {
		in.leave()
		t.zombies.push(in)
		for _, l := range in.lives {
			l.forgetMappings()
		}
		t.eviction.Idle = append(t.eviction.Idle, in.lives...)
		t.stats.Overdue++
	}
}

// makeRoom reports whether there is room for one more instance. At the limit the
// one that exited first goes; of it only the exit is kept.
func (t *Table) makeRoom() bool {
	if len(t.instances)-len(t.dead) < t.settings.MaxProcesses {
		return true
	}
	in := t.zombies.head
	if in == nil {
		in = t.exiting.head
	}
	if in == nil || len(t.ghosts) >= t.settings.MaxProcesses {
		return false
	}
	in.leave()
	t.remove(in)
	t.stats.Forced++
	t.haunt(in.proc, in.exit)
	return true
}

// remove takes an instance that is in no queue out of the table.
func (t *Table) remove(in *instance) {
	t.eviction.Gone = append(t.eviction.Gone, in.lives...)
	in.lives = nil // dropSuperseded unlists it
	delete(t.instances, in.proc)
	p := t.pids[in.proc.PID]
	if p.owner == in {
		p.owner = nil
	}
	if p.instances--; p.instances > 0 {
		t.pids[in.proc.PID] = p
	} else {
		delete(t.pids, in.proc.PID)
	}
}
