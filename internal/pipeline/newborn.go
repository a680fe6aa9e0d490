// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"

// maxNewborns bounds the processes that are looked at ahead of a completion,
// maxNewbornFiles what is remembered of each.
const (
	maxNewborns     = 4096
	maxNewbornFiles = 64
)

// newborns are the processes that were born since the last completion, by PID. What they
// have mapped is asked for as soon as they are sampled: until the completion that tells
// whose sample it was they may be gone, and their files with them. Whoever has the PID by
// then, a file is believed only if it is the one that was mapped.
type newborns struct {
	code *code
	born map[uint32]*newborn
}

type newborn struct {
	by      Holders
	sampled bool
	mapped  []event.Mapping // until it is sampled
}

func (n *newborns) observe(b *event.Batch) {
	for i := range b.Lifecycle {
		switch e := &b.Lifecycle[i]; e.Kind {
		case event.Fork:
			if len(n.born) < maxNewborns {
				n.born[e.Proc.PID] = &newborn{by: Holders{[2]uint32{e.Proc.PID, e.Parent.PID}, e.Cgroup}}
			}
		case event.Exec: // a container begins in the group of who starts it
			if p := n.born[e.Proc.PID]; p != nil {
				p.by.Group = e.Cgroup
			}
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
			p.mapped = append(p.mapped, m.Mapping)
		}
	}
	for i := range b.Samples {
		if p := n.born[b.Samples[i].Proc.PID]; p != nil && !p.sampled {
			p.sampled = true
			for k := range p.mapped {
				n.want(p, &p.mapped[k])
			}
			p.mapped = nil
		}
	}
}

func (n *newborns) want(p *newborn, m *event.Mapping) {
	n.code.want(n.code.id(m), m, p.by)
}

// complete ends the time ahead of a completion.
func (n *newborns) complete() { clear(n.born) }
