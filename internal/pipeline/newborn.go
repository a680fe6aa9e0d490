// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/filter"
)

// maxNewborns bounds the processes that are looked at ahead of a completion,
// maxNewbornFiles what is remembered of each.
const (
	maxNewborns     = 4096
	maxNewbornFiles = 64
)

// newborns are the processes that were born since the last completion, by PID. What they
// have mapped is asked for as soon as they are sampled: until the completion that tells
// whose sample it was they may be gone, and their files with them. Whoever has the PID by
// then, a file is believed only if it is the one that was mapped. Nothing is asked for
// processes that are not to be profiled, as far as that is known ahead of a completion.
type newborns struct {
	code  *code
	rules filter.Rules
	born  map[uint32]*newborn
}

type newborn struct {
	by Holders
	// exec is when it last executed a file, comm its name since.
	exec    event.KTime
	comm    event.Comm
	sampled bool
	mapped  []event.Mapped // until it is sampled
}

func (n *newborns) observe(b *event.Batch) {
	for i := range b.Lifecycle {
		e := &b.Lifecycle[i]
		if e.Kind == event.Fork && len(n.born) < maxNewborns {
			n.born[e.Proc.PID] = &newborn{by: Holders{[2]uint32{e.Proc.PID, e.Parent.PID}, e.Cgroup}, comm: e.Comm}
		}
		if p := n.born[e.Proc.PID]; p != nil && e.Kind == event.Exec && e.KTime > p.exec {
			p.exec, p.comm = e.KTime, e.Comm
			p.by.Group = e.Cgroup // a container begins in the group of who starts it
		}
	}
	if len(n.born) == 0 {
		return
	}
	for i := range b.Mapped {
		m := &b.Mapped[i]
		switch p := n.born[m.PID]; {
		case p == nil:
		case p.sampled:
			n.want(p, &m.Mapping)
		case len(p.mapped) < maxNewbornFiles:
			p.mapped = append(p.mapped, *m)
		}
	}
	for i := range b.Samples {
		if p := n.born[b.Samples[i].Proc.PID]; p != nil && !p.sampled && n.admit(p, &b.Samples[i]) {
			p.sampled = true
			for k := range p.mapped {
				n.want(p, &p.mapped[k].Mapping)
			}
			p.mapped = nil
		}
	}
}

// admit reports whether a newborn may be profiled. The first file that is mapped after an
// exec is the program.
func (n *newborns) admit(p *newborn, s *event.Sample) bool {
	if n.rules.Empty() {
		return true
	}
	is := filter.Process{PID: s.Proc.PID, User: s.UID, Comm: filter.Known(p.comm.String())}
	first := event.KTime(0)
	for i := range p.mapped {
		m := &p.mapped[i]
		if p.exec > 0 && m.KTime > p.exec && (first == 0 || m.KTime < first) {
			first, is.Executable = m.KTime, filter.Known(m.Path)
		}
	}
	return n.rules.Judge(&is) != filter.Out
}

func (n *newborns) want(p *newborn, m *event.Mapping) {
	n.code.want(n.code.id(m), m, p.by)
}

// complete ends the time ahead of a completion.
func (n *newborns) complete() { clear(n.born) }
