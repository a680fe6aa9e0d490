// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package pipeline turns batches of events and completions into windows of
// attributed samples. It is pure: what it needs of the outside it asks for by
// request values, and what it makes it returns.
//
// One completion W runs through its parts in this order: the process table
// learns the lifecycle up to W, held samples up to W are attributed to windows,
// windows that end by W close, processes freed by W are evicted.
package pipeline

import (
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/hold"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// Settings size the pipeline.
type Settings struct {
	// Start is when the first window begins, Interval how long each one is.
	Start    event.KTime
	Interval time.Duration
	// MaxHoldBytes bounds the samples that wait for their completion.
	MaxHoldBytes int
	// MaxProcesses bounds the process table.
	MaxProcesses int
	// ReadAll: something is wanted of processes that only /proc tells.
	ReadAll bool
	// Walk: the sampler can walk user stacks by tables.
	Walk bool
	// Inline: native code has lines and inlined calls.
	Inline bool
	// JIT: code that is made at run time is named.
	JIT bool
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
	kernel   *kernelCode
	newborns newborns
	groups   *containers
	window   *window
	until    event.KTime
	ledger   Ledger
	stacks   Stacks
	freed    []event.KTime
}

// Ledger counts samples by where they are. Seen = Held + Open + Closed + LostHold
// at any moment.
type Ledger struct {
	// Seen arrived in batches.
	Seen uint64
	// LostHold found the hold buffer full.
	LostHold uint64
	// Held wait for their completion, Open are in the window that is filling.
	Held, Open uint64
	// Closed are in windows that were handed out.
	Closed uint64
	// Late counts records of any kind that arrived after a completion that covers
	// them: a breach of the promise the completions make.
	Late uint64
}

// Stacks counts attributed samples by how their user stack came out, indexed by
// event.UserStack.
type Stacks [event.UserStacks]uint64

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
	}
	p.code.inline = s.Inline
	p.walk = newWalk(s.Walk, p.code)
	p.newborns = newborns{p.code, map[uint32]*newborn{}}
	p.window = newWindow(p.code, p.jit, s.Start, s.Start+event.KTime(s.Interval))
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

// Doubt is told that records of mappings stamped before k were lost.
func (p *Pipeline) Doubt(k event.KTime) { p.table.Doubt(k) }

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
	p.table.Complete(w)
	p.jit.complete(w)
	p.kernel.complete(w)
	p.newborns.complete()
	var closed []*Window
	for w >= p.window.End() {
		p.release(p.window.End())
		closed = p.closeWindow(closed, p.window.End())
	}
	p.release(w)
	p.look(w)
	if p.window.Samples() >= p.settings.maxWindowSamples() {
		closed = p.closeWindow(closed, w)
	}
	evicted := p.table.Evict(w)
	p.window.settle(evicted.Gone, p.notes())
	p.window.settle(evicted.Idle, p.notes())
	p.walk.forget(evicted.Gone)
	p.walk.forget(evicted.Idle)
	p.walk.complete()
	p.jit.forget(evicted.Gone)
	p.jit.forget(evicted.Idle)
	p.freed = evicted.Freed
	return closed
}

// Flush is the last Complete: the window that is filling ends early, at w.
func (p *Pipeline) Flush(w event.KTime) []*Window {
	closed := p.Complete(w)
	if w > p.window.Start() {
		closed = p.closeWindow(closed, w)
	}
	return closed
}

func (p *Pipeline) release(until event.KTime) {
	p.hold.Release(until, func(s *event.Sample) {
		life := p.table.Attribute(s)
		p.walk.sampled(life)
		p.stacks[min(s.UserStack, event.UserStacks-1)]++
		if !p.window.add(life, s) {
			p.table.Missed(life, s)
		}
	})
}

// look asks for what would name the frames that the window met.
func (p *Pipeline) look(now event.KTime) {
	p.window.look()
	p.kernel.miss(p.code.kernel, p.window.met.kernel, now)
	p.window.met.kernel = p.window.met.kernel[:0]
}

// closeWindow ends the window at end and starts the next.
func (p *Pipeline) closeWindow(closed []*Window, end event.KTime) []*Window {
	w := p.window
	w.EndAt(end)
	p.look(end)
	p.walk.window()
	p.window = newWindow(p.code, p.jit, end, end+event.KTime(p.settings.Interval))
	if w.Samples() == 0 {
		return closed
	}
	p.ledger.Closed += w.Samples()
	c := w.close(p.notes())
	c.made = p.kernel.made
	p.kernel.window(end)
	return append(closed, c)
}

// Freed returns when the processes that the last Complete evicted were freed. It
// is valid until the next.
func (p *Pipeline) Freed() []event.KTime { return p.freed }

// Requests returns up to n reads of /proc that are wanted; each gets one Answer.
func (p *Pipeline) Requests(n int) []process.Request { return p.table.Requests(n) }

// Answer takes what /proc said.
func (p *Pipeline) Answer(a process.Answer) { p.table.Answer(a) }

// GroupRequests returns up to n control groups whose containers are wanted; each
// gets one GroupFound.
func (p *Pipeline) GroupRequests(n int) []event.CgroupID { return p.groups.requests(n) }

// GroupFound takes the container that a group is of, "" if of none or not known.
func (p *Pipeline) GroupFound(group event.CgroupID, container string) {
	p.groups.found(group, container)
}

// FileRequests returns up to n files whose symbols are wanted; each gets one
// Loaded.
func (p *Pipeline) FileRequests(n int) []FileRequest { return p.code.requests(n) }

// Loaded takes what a file told of itself.
func (p *Pipeline) Loaded(a FileAnswer) {
	p.code.loaded(a)
	p.walk.arrived(a.ID, a.File != nil)
}

// UnitRequests returns up to n requests for debug information; each gets one UnitsRead.
func (p *Pipeline) UnitRequests(n int) []UnitRequest { return p.code.unitRequests(n) }

// UnitsRead takes what the debug information of a file says.
func (p *Pipeline) UnitsRead(a UnitAnswer) { p.code.unitsRead(a) }

// Walks returns the processes whose memory the sampler is to know, and those that it
// can forget. They are valid until the next call.
func (p *Pipeline) Walks() (spaces, over []unwind.Space) {
	spaces, over = p.walk.spaces, p.walk.over
	p.walk.spaces, p.walk.over = nil, nil
	return spaces, over
}

// PerfMapRequests returns up to n lists of code made at run time that are wanted;
// each gets one PerfMapRead.
func (p *Pipeline) PerfMapRequests(n int) []PerfMapRequest { return p.jit.requests(n) }

// PerfMapRead takes what became of a request.
func (p *Pipeline) PerfMapRead(a PerfMapAnswer) { p.jit.answers = append(p.jit.answers, a) }

// KernelRequested reports, once, that the kernel's symbols are to be read again; that gets
// one KernelLoaded.
func (p *Pipeline) KernelRequested() bool {
	wanted := p.kernel.wanted
	p.kernel.wanted = false
	return wanted
}

// KernelLoaded takes the kernel's symbols and build ID, and its code in processes, nil
// what is not known.
func (p *Pipeline) KernelLoaded(k *symbol.Kernel, buildID string, vdso *symbol.File) {
	if k == nil && p.code.kernel != nil {
		return // could not be read again
	}
	p.code.kernel, p.code.kernelBuildID, p.code.vdso = k, buildID, vdso
}

// Oldest is the stamp of the oldest sample that is attributed and not handed out,
// and whether there is one.
func (p *Pipeline) Oldest() (event.KTime, bool) {
	return p.window.Oldest(), p.window.Samples() > 0
}

// Stats is what the pipeline counted, at one moment.
type Stats struct {
	Ledger    Ledger
	Stacks    Stacks
	Processes process.Stats
	// SymbolBytes is the memory of the files and units that are kept, SymbolsEvicted how
	// many went because of the limit.
	SymbolBytes    int
	SymbolsEvicted uint64
	// FilesFaulty have names in part only.
	FilesFaulty uint64
	DebugUnits  DebugUnits
	PerfMaps    PerfMaps
	// TablesFull counts unwind tables that found no room.
	TablesFull uint64
}

// Stats returns the counts.
func (p *Pipeline) Stats() Stats {
	s := Stats{
		Ledger:         p.ledger,
		Stacks:         p.stacks,
		Processes:      p.table.Stats(),
		SymbolBytes:    p.code.known.Bytes(),
		SymbolsEvicted: p.code.known.Evicted(),
		FilesFaulty:    p.code.faulty,
		DebugUnits:     p.code.units.stats,
		PerfMaps:       p.jit.stats,
		TablesFull:     p.code.full,
	}
	s.Ledger.Held = uint64(p.hold.Len())
	s.Ledger.Open = p.window.Samples()
	return s
}
