// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"

// ObserveMapped takes records of mappings, in any order and ahead of W; they wait
// until a completion covers them.
func (t *Table) ObserveMapped(ms []event.Mapped) {
	room := max(0, t.settings.MaxRecords-len(t.mapped.all))
	if len(ms) > room {
		t.stats.MappedDropped += uint64(len(ms) - room)
		for i := range ms[room:] {
			t.Doubt(ms[room+i].KTime)
		}
		ms = ms[:room]
	}
	t.mapped.all = append(t.mapped.all, ms...)
}

// Doubt is told that records of mappings were lost, all of them stamped before k.
// What was mapped is still believed, as far as it is known, but read again.
func (t *Table) Doubt(k event.KTime) { t.doubted = max(t.doubted, k) }

// known reports whether everything is known that a life has mapped.
func (t *Table) known(l *Life) bool {
	return l.memory != nil && l.memory.proven > 0 && l.memory.proven >= t.doubted
}

// change returns the memory of a life to change it.
func (t *Table) change(l *Life) *memory {
	if l.memory == nil {
		l.memory = &memory{}
	}
	l.memory = l.memory.own()
	l.memory.forget(t.settled)
	t.versions++
	l.memory.version = t.versions
	return l.memory
}

// own notes who has a PID from now on: who began last.
func (t *Table) own(in *instance) {
	p := t.pids[in.proc.PID]
	if p.owner == nil || p.owner.proc.Start <= in.proc.Start {
		p.owner = in
		t.pids[in.proc.PID] = p
	}
}

// place puts a mapping into the life that the PID was at the time. Records are
// applied in the order of their stamps, and a PID is given away only after its
// owner can map nothing more.
func (t *Table) place(m *event.Mapped) {
	in := t.pids[m.PID].owner
	if in == nil || in.exit > anyTime && in.exit < m.KTime {
		t.stats.MappedOfNobody++
		return
	}
	l := in.newest()
	if l == nil || l.Worker {
		t.stats.MappedOfNobody++
		return
	}
	mem := t.change(l)
	if t.known(l) {
		mem.name(m.Path)
	}
	t.stats.MappedRefused += uint64(mem.put(&region{m.Mapping, m.KTime}))
}

// inherit gives a fork its parent's memory. The kernel copies it a while before it
// stamps the fork (dup_mmap, then trace_sched_process_fork, in kernel/fork.c, v6.12).
// Meanwhile other threads of the parent may map something: of what changed lately
// the fork has nobody knows which state.
func (t *Table) inherit(l, parent *Life, r *event.Lifecycle) {
	if parent.memory == nil || l.memory != nil {
		return
	}
	if lately := r.KTime - min(r.KTime, forkTakes); r.ParentThreads > 1 && parent.memory.changedSince(lately) {
		l.memory = parent.memory.certain(lately)
		t.versions++
		l.memory.version = t.versions
		return
	}
	parent.memory.shared = true
	l.memory = parent.memory
}
