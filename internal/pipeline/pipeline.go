// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package pipeline turns batches of events and completions into windows of
// attributed samples. It is pure: what it needs of the outside it asks for by
// request values, and what it makes it returns.
//
// One completion W runs through its parts in this order: the process table
// learns the lifecycle up to W, held samples up to W are attributed to windows,
// windows that end by W are handed out, at the next completion if what they asked for is
// on its way, processes freed by W are evicted.
package pipeline

import (
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/filter"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/hold"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// Settings size the pipeline.
type Settings struct {
	// Start is when the first window begins, Interval how long each one is, give or take
	// a fraction Jitter of it, by numbers that Random draws from [0, 1).
	Start    event.KTime
	Interval time.Duration
	Jitter   float64
	Random   func() float64
	// Placement says where attributes are.
	Placement Placement
	// Filter says which processes are profiled, MinAge how old they have to be when a
	// window begins.
	Filter filter.Rules
	MinAge time.Duration
	// MaxHoldBytes bounds the samples that wait for their completion.
	MaxHoldBytes int
	// MaxProcesses bounds the process table.
	MaxProcesses int
	// ReadAll: something is wanted of processes that only /proc tells.
	ReadAll bool
	// Rule reads the rule that holds at an offset from the base of a placed piece.
	Rule func(p unwind.Piece, offset uint32) unwind.Rule
	// MaxCopyBytes bounds the copies of stacks that wait for tables.
	MaxCopyBytes int
	// Inline: native code has lines and inlined calls.
	Inline bool
	// JIT: code that is made at run time is named.
	JIT bool
	// Contexts: the process contexts that processes publish are read.
	Contexts bool
	// MaxSymbolBytes bounds what is kept of executable files.
	MaxSymbolBytes int
	// MaxWindowSamples bounds a window: one that has as many closes at the next
	// completion, ahead of its time. 0 means a million.
	MaxWindowSamples int
	// BootTime is the Unix time in nanoseconds at BootTime 0.
	BootTime int64
}

func (s Settings) maxWindowSamples() uint64 {
	if s.MaxWindowSamples > 0 {
		return uint64(s.MaxWindowSamples)
	}
	return 1_000_000
}

// Pipeline is used by one goroutine.
type Pipeline struct {
	settings Settings
	hold     *hold.Buffer
	table    *process.Table
	code     *code
	jit      *jit
	walk     *walk
	copies   *copies
	kernel   *kernelCode
	// askModules: a window was closed since they were asked for.
	askModules bool
	newborns   newborns
	groups     *containers
	// cuts are when windows have to end, ascending.
	cuts      []event.KTime
	selection *selection
	contexts  *contexts
	// window is filling; ending is over and waits for the next completion, or nil.
	window, ending *window
	until          event.KTime
	ledger         Ledger
	stacks         Stacks
	freed          []event.KTime
}

// New returns a pipeline that has seen nothing.
func New(s Settings) *Pipeline {
	p := &Pipeline{
		settings: s,
		hold:     hold.New(s.MaxHoldBytes),
		table:    process.New(process.Settings{MaxProcesses: s.MaxProcesses, ReadAll: s.ReadAll}),
		code:     newCode(s.MaxSymbolBytes),
		jit:      newJIT(s.JIT),
		kernel:   newKernelCode(),
		groups:   newContainers(),
		contexts: newContexts(s.Contexts),
	}
	p.code.inline = s.Inline
	p.walk = newWalk(p.code)
	p.copies = newCopies(p.code, s.Rule, s.MaxCopyBytes)
	p.selection = newSelection(s, p.groups)
	p.newborns = newborns{p.code, s.Filter, map[uint32]*newborn{}}
	p.window = newWindow(p.settings.Placement, p.code, p.jit, p.kernel, s.Start, p.endOf(s.Start))
	return p
}

// Scan enters the processes that an iteration over all tasks in [from, to] found.
// It comes before the first completion.
func (p *Pipeline) Scan(tasks []event.Task, from, to event.KTime) {
	p.table.Scan(tasks, from, to)
	for i := range tasks {
		p.groups.want(tasks[i].Cgroup)
	}
}

// Reconcile repairs what lost lifecycle records did: what is not among the tasks
// and was there before from has ended by at.
func (p *Pipeline) Reconcile(tasks []event.Task, from, at event.KTime) {
	p.table.Reconcile(tasks, from, at)
}

// Doubt is told that records of mappings, or of code that the kernel made, stamped before k
// were lost.
func (p *Pipeline) Doubt(k event.KTime) {
	p.table.Doubt(k)
	p.kernel.doubt = true
}

// Batch takes what one drain of the buffers brought.
func (p *Pipeline) Batch(b *event.Batch) {
	p.table.Observe(b.Lifecycle)
	p.table.ObserveMapped(b.Mapped)
	for i := range b.Lifecycle {
		p.late(b.Lifecycle[i].KTime)
		p.groups.want(b.Lifecycle[i].Cgroup)
	}
	for i := range b.Mapped {
		p.late(b.Mapped[i].KTime)
	}
	p.newborns.observe(b)
	p.kernel.observe(b.Kernel)
	for i := range b.Kernel {
		p.late(b.Kernel[i].KTime)
	}
	p.ledger.Seen += uint64(len(b.Samples))
	for i := range b.Samples {
		s := &b.Samples[i]
		p.late(s.KTime)
		p.table.Expect(s)
		if !p.hold.Add(*s) {
			p.ledger.LostHold++
		}
	}
}

// late counts a record that a completion covered before it came.
func (p *Pipeline) late(k event.KTime) {
	if k <= p.until {
		p.ledger.Late++
	}
}

// Complete learns that every record up to w has arrived. It returns the windows
// that have closed and hold samples, oldest first.
func (p *Pipeline) Complete(w event.KTime) []*Window {
	p.until = max(p.until, w)
	p.code.tables.now = p.until
	p.table.Complete(w)
	p.jit.complete(w)
	p.contexts.complete(w)
	p.copies.retry(nil, p.count)
	p.newborns.complete()
	closed := p.handOut(nil)
	for w >= p.window.End() {
		p.kernel.complete(p.code.kernel, p.window.End())
		p.release(p.window.End())
		closed = p.closeWindow(closed, p.window.End())
	}
	p.kernel.complete(p.code.kernel, w)
	p.release(w)
	p.look(w)
	if p.window.Samples() >= p.settings.maxWindowSamples() {
		closed = p.closeWindow(closed, w)
	}
	evicted := p.table.Evict(w)
	for _, w := range p.open() {
		w.settle(evicted.Gone, p.notes())
		w.settle(evicted.Idle, p.notes())
	}
	p.selection.forget(evicted.Gone)
	p.walk.forget(evicted.Gone)
	p.walk.forget(evicted.Idle)
	p.walk.complete(w)
	p.code.tables.complete()
	p.jit.forget(evicted.Gone)
	p.jit.forget(evicted.Idle)
	p.contexts.forget(evicted.Gone)
	p.contexts.forget(evicted.Idle)
	p.freed = evicted.Freed
	return closed
}

// Flush is the last Complete: the window that is filling ends early, at w.
func (p *Pipeline) Flush(w event.KTime) []*Window {
	closed := p.Complete(w)
	if w > p.window.Start() {
		closed = p.closeWindow(closed, w)
	}
	return p.handOut(closed)
}

func (p *Pipeline) release(until event.KTime) {
	p.hold.Release(until, func(s *event.Sample) {
		life := p.table.Attribute(s)
		switch p.selection.admit(life, s, p.window) {
		case filter.Out:
			return
		case filter.In:
			p.walk.sampled(life)
			p.contexts.sampled(life, s.KTime)
		}
		p.groups.want(life.Cgroup) // again, if it was forgotten
		to := counter{p.window, p.window.owner(life), life, life.Memory()}
		if s.UserStack != event.UserCopied {
			p.walk.cut(life, s)
		} else if !p.copies.take(to, s) {
			return // it waits
		}
		p.count(to, s)
	})
}

// counter is where a sample is to be counted. The life may be over; the memory is as it
// was when the sample was attributed, or known later.
type counter struct {
	window *window
	owner  *profile.Owner
	life   *process.Life
	memory process.Memory
}

func (p *Pipeline) count(c counter, s *event.Sample) {
	p.stacks[min(s.UserStack, event.UserStacks-1)]++
	p.walk.threads.counts[s.Context]++
	if !c.window.add(c, s) {
		p.table.Missed(c.life, s)
	}
}

// Freed returns when the processes that the last Complete evicted were freed. It
// is valid until the next.
func (p *Pipeline) Freed() []event.KTime { return p.freed }

// Oldest is the stamp of the oldest sample that is attributed and not handed out,
// and whether there is one.
func (p *Pipeline) Oldest() (event.KTime, bool) {
	k, any := p.copies.oldest()
	for _, w := range p.open() {
		if w.Samples() > 0 && (!any || w.Oldest() < k) {
			k, any = w.Oldest(), true
		}
	}
	return k, any
}
