// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// look asks for what would name the frames that the window met.
func (p *Pipeline) look(now event.KTime) {
	p.window.look()
	p.kernel.miss(p.code.kernel, p.window.met.kernel, now)
	p.window.met.kernel = p.window.met.kernel[:0]
}

// closeWindow ends the window at end and starts the next. If something that it asked for
// is on its way, it is handed out at the next completion only: of processes that were
// short-lived nothing is told in the next window.
func (p *Pipeline) closeWindow(closed []*Window, end event.KTime) []*Window {
	closed = p.handOut(closed)
	p.window.EndAt(end)
	p.look(end)
	p.ending, p.window.kernelCode = p.window, p.kernel.made
	p.walk.window()
	p.window = newWindow(p.code, p.jit, end, end+event.KTime(p.settings.Interval))
	if len(p.copies.waiting)+len(p.code.wanted)+len(p.code.units.wanted) > 0 {
		return closed
	}
	return p.handOut(closed)
}

// handOut appends the window that is ending.
func (p *Pipeline) handOut(closed []*Window) []*Window {
	w := p.ending
	if w == nil {
		return closed
	}
	p.copies.retry(w, p.count)
	if p.ending = nil; w.Samples() == 0 {
		return closed
	}
	p.ledger.Closed += w.Samples()
	c := w.close(p.notes())
	p.kernel.window(w.End())
	return append(closed, c)
}

// open returns the windows that have not been handed out.
func (p *Pipeline) open() []*window {
	if p.ending == nil {
		return []*window{p.window}
	}
	return []*window{p.ending, p.window}
}
