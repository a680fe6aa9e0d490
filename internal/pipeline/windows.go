// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Cut has a window end at that time, which no completion has covered yet.
func (p *Pipeline) Cut(at event.KTime) {
	if p.window.Start() < at && at < p.window.End() {
		p.window.EndAt(at)
	}
	p.cuts = append(p.cuts, at)
}

// endOf is when a window ends.
func (p *Pipeline) endOf(start event.KTime) event.KTime {
	length := float64(p.settings.Interval)
	if p.settings.Jitter > 0 {
		length *= 1 + p.settings.Jitter*(2*p.settings.Random()-1)
	}
	for len(p.cuts) > 0 && p.cuts[0] <= start {
		p.cuts = p.cuts[1:]
	}
	end := start + event.KTime(length)
	if len(p.cuts) > 0 {
		end = min(end, p.cuts[0])
	}
	return end
}

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
	p.ending, p.askModules = p.window, true
	p.walk.window()
	p.code.units.window()
	p.window = newWindow(p.settings.Placement, p.code, p.jit, p.kernel, end, p.endOf(end))
	if len(p.copies.waiting)+len(p.code.wanted)+len(p.code.units.wanted)+len(p.ending.undecided) > 0 {
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
	p.selection.settle(w)
	p.kernel.window(p.code.kernel, w.End())
	if w.Start() >= p.code.kernelFrom {
		p.code.kernelBefore = nil
	}
	if p.ending = nil; w.Samples() == 0 {
		return closed
	}
	p.ledger.Closed += w.Samples()
	return append(closed, w.close(p.notes()))
}

// open returns the windows that have not been handed out.
func (p *Pipeline) open() []*window {
	if p.ending == nil {
		return []*window{p.window}
	}
	return []*window{p.ending, p.window}
}
