// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// Requests returns up to n reads of /proc that are wanted; each gets one Answer.
func (p *Pipeline) Requests(n int) []process.Request { return p.table.Requests(n) }

// Answer takes what /proc said.
func (p *Pipeline) Answer(a process.Answer) { p.table.Answer(a) }

// GroupRequests returns up to n control groups of which something is wanted; each
// gets one GroupFound.
func (p *Pipeline) GroupRequests(n int) []event.CgroupID { return p.groups.requests(n) }

// GroupFound takes what is known of a group; nothing if it could not be read.
func (p *Pipeline) GroupFound(group event.CgroupID, g Group) { p.groups.found(group, g) }

// FileRequests returns up to n files whose symbols are wanted; each gets one
// Loaded.
func (p *Pipeline) FileRequests(n int) []FileRequest { return p.code.requests(n) }

// Loaded takes what a file told of itself.
func (p *Pipeline) Loaded(a FileAnswer) {
	p.code.loaded(a)
	p.walk.arrived(a.ID, a.File != nil)
}

// UnitRequests returns up to n requests for debug information; each gets one UnitsRead.
func (p *Pipeline) UnitRequests(n int) []UnitRequest { return p.code.units.requests(n) }

// UnitsRead takes what the debug information of a file says.
func (p *Pipeline) UnitsRead(a UnitAnswer) { p.code.unitsRead(a) }

// Walks is what the sampler is to be told: in this order, whose memory it can forget,
// whose it is to know, and which tables are of no use any more.
type Walks struct {
	Over, Spaces []unwind.Space
	Dropped      []unwind.Piece
}

// Walks returns what is new since the last call.
func (p *Pipeline) Walks() Walks {
	w := Walks{p.walk.over, p.walk.spaces, p.code.tables.dropped}
	p.walk.over, p.walk.spaces, p.code.tables.dropped = nil, nil, nil
	return w
}

// WalksTold learns that all that Walks returned had been handed on by k.
func (p *Pipeline) WalksTold(k event.KTime) { p.walk.told(k) }

// Rulings are lives that the sampler is to be told of: first those whose samples it can
// drop from now on, then those of which no more will come.
type Rulings struct{ Rejected, Over []event.LifeID }

// Rulings returns what is new since the last call.
func (p *Pipeline) Rulings() Rulings {
	r := Rulings{p.selection.rejected, p.selection.over}
	p.selection.rejected, p.selection.over = nil, nil
	return r
}

// PerfMapRequests returns up to n lists of code made at run time that are wanted;
// each gets one PerfMapRead.
func (p *Pipeline) PerfMapRequests(n int) []PerfMapRequest { return p.jit.requests(n) }

// PerfMapRead takes what became of a request.
func (p *Pipeline) PerfMapRead(a PerfMapAnswer) { p.jit.answers = append(p.jit.answers, a) }

// ContextRequests returns up to n process contexts that are wanted; each gets one
// ContextLooked.
func (p *Pipeline) ContextRequests(n int) []ContextRequest { return p.contexts.requests(n) }

// ContextLooked takes what became of a request.
func (p *Pipeline) ContextLooked(a ContextAnswer) {
	p.contexts.answers = append(p.contexts.answers, a)
}

// ThreadContextRequests returns up to n places of thread contexts that are wanted; each gets one
// ThreadContextLocated.
func (p *Pipeline) ThreadContextRequests(n int) []ThreadContextRequest {
	return p.walk.threads.requests(n)
}

// ThreadContextLocated takes what became of a request.
func (p *Pipeline) ThreadContextLocated(a ThreadContextAnswer) {
	p.walk.threads.answers = append(p.walk.threads.answers, a)
}

// KernelAnswer is what the kernel says of its code.
type KernelAnswer struct {
	// Symbols are nil if they could not be read.
	Symbols *symbol.Kernel
	BuildID string
	// Modules tell one set of loaded modules from another. They and the symbols were read
	// from From on.
	Modules uint64
	From    event.KTime
}

// KernelRequested reports, once, that the kernel's symbols are to be read again; that gets
// one KernelLoaded.
func (p *Pipeline) KernelRequested() bool {
	wanted := p.kernel.wanted
	p.kernel.wanted = false
	p.kernel.reading = p.kernel.reading || wanted
	return wanted
}

// KernelLoaded takes what the kernel says of its code.
func (p *Pipeline) KernelLoaded(a KernelAnswer) {
	p.kernel.reading = false
	if a.Symbols == nil && p.code.kernel != nil {
		p.kernel.doubt = true // they could not be read again
		return
	}
	p.code.kernelBefore, p.code.kernelFrom = p.code.kernel, a.From
	p.code.kernel, p.code.kernelBuildID = a.Symbols, a.BuildID
	p.kernel.modules = a.Modules
	p.kernel.loaded(a.Symbols, a.From)
}

// ModulesRequested reports, once in a window, that the modules are to be looked at, of which
// no record tells; that gets one ModulesFound at most.
func (p *Pipeline) ModulesRequested() bool {
	asked := p.askModules && p.code.kernel != nil && p.code.kernel.Symbols() > 0
	p.askModules = false
	return asked
}

// ModulesFound takes which modules there are.
func (p *Pipeline) ModulesFound(modules uint64) {
	p.kernel.doubt = p.kernel.doubt || !p.kernel.reading && modules != p.kernel.modules
}
