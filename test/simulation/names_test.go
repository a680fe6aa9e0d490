// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
)

// verdicts compare the names that samples got with whose they are. Only records
// of lifecycle events tell a name; who forgets one had been told it.
type verdicts struct{ wrong, none, forgot int }

func (v *verdicts) count(got event.Comm, of *instance) {
	switch got {
	case of.name:
	case event.Comm{}:
		v.none++
		if !of.unannounced {
			v.forgot++
		}
	default:
		v.wrong++
	}
}

// named names samples as the pipeline does: they wait for their completion and
// ask the process table then.
type named struct {
	verdicts
	stream *stream
	table  *process.Table
	held   []*program
	// gaps are the lifecycle records that will not come, in time; the first
	// reconciled of them have been made good.
	gaps       []*program
	reconciled int
}

func newNamed(s *stream) *named {
	n := &named{stream: s, table: process.New(process.Settings{MaxRecords: 1 << 20})}
	for _, p := range s.programs {
		if p.lost && p.kind != sample {
			n.gaps = append(n.gaps, p)
		}
	}
	n.table.Scan(s.listed(boot), boot, boot)
	return n
}

func (n *named) deliver(p *program) {
	if p.kind == sample {
		n.held = append(n.held, p)
		n.table.Expect(p.sample())
		return
	}
	n.table.Observe([]event.Lifecycle{p.lifecycle()})
}

func (n *named) complete(until, now event.KTime) {
	n.reconcile(now)
	n.table.Complete(until)
	kept := n.held[:0]
	for _, p := range n.held {
		if p.ktime() > until {
			kept = append(kept, p)
			continue
		}
		n.count(n.table.Attribute(p.sample()).Comm, p.about)
	}
	n.held = kept
	n.table.Evict(until)
}

// reconcile lists the tasks when records have been lost since the last time.
func (n *named) reconcile(now event.KTime) {
	gaps := n.reconciled
	for gaps < len(n.gaps) && n.gaps[gaps].end <= now {
		gaps++
	}
	if gaps > n.reconciled {
		n.reconciled = gaps
		n.table.Reconcile(n.stream.listed(now), now, now)
	}
}

// settle ends the simulation: everything has been delivered. It returns how many
// processes the table still knows, and how many it should at most.
func (n *named) settle() (kept, most int) {
	over := n.stream.end + 1
	n.complete(never, over)
	most = len(n.stream.shells) + len(n.stream.children)
	for _, p := range n.stream.programs {
		if p.kind == event.Free {
			most--
		}
	}
	if len(n.gaps) > 0 {
		tasks := n.stream.listed(n.stream.end)
		n.table.Reconcile(tasks, over, over)
		n.table.Evict(never)
		most = len(tasks)
	}
	s := n.table.Stats()
	return s.Live + s.Exiting + s.Zombie, most
}

func (p *program) sample() *event.Sample {
	return &event.Sample{KTime: p.ktime(), Proc: p.about.id, TID: p.about.id.PID, UserStack: event.UserNone}
}

func (p *program) lifecycle() event.Lifecycle {
	l := event.Lifecycle{Kind: p.kind, KTime: p.ktime(), Proc: p.about.id, Comm: p.about.name}
	if p.parent != nil {
		l.Parent = p.parent.id
	}
	return l
}

// byPID names samples as they are read from a cache under bare PIDs. A PID's
// first owner stays until a completion passes its end; who comes next is refused
// until then. It is told of forks and ends at once and without loss, better than
// where such a cache is in use, which has to guess both from /proc.
type byPID struct {
	verdicts
	// told are the lifecycle events to come, in the order they become visible.
	told []*program
	// owners is who has a PID now, cached who had it first.
	owners, cached map[uint32]*instance
	ends           map[uint32]event.KTime
}

func newByPID(s *stream) *byPID {
	b := &byPID{owners: map[uint32]*instance{}, cached: map[uint32]*instance{}, ends: map[uint32]event.KTime{}}
	for _, p := range s.programs {
		if p.kind != sample {
			b.told = append(b.told, p)
		}
	}
	slices.SortStableFunc(b.told, byEnd)
	for _, shell := range s.shells {
		b.owners[shell.id.PID], b.cached[shell.id.PID] = shell, shell
	}
	return b
}

func (b *byPID) deliver(p *program, now event.KTime) {
	for len(b.told) > 0 && b.told[0].end <= now {
		b.tell(b.told[0])
		b.told = b.told[1:]
	}
	pid := p.about.id.PID
	if b.cached[pid] == nil {
		b.cached[pid] = b.owners[pid]
	}
	got := event.Comm{}
	if found := b.cached[pid]; found != nil {
		got = found.name
	}
	b.count(got, p.about)
}

func (b *byPID) tell(p *program) {
	pid := p.about.id.PID
	switch p.kind {
	case event.Fork:
		b.owners[pid] = p.about
		if b.cached[pid] == nil {
			b.cached[pid] = p.about
		}
	case event.Free:
		if b.owners[pid] == p.about {
			delete(b.owners, pid)
		}
		if b.cached[pid] == p.about {
			b.ends[pid] = p.ktime()
		}
	}
}

func (b *byPID) complete(until event.KTime) {
	for pid, end := range b.ends {
		if end <= until {
			delete(b.cached, pid)
			delete(b.ends, pid)
		}
	}
}
