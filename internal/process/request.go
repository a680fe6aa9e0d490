// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Request asks to read /proc about an instance. Each one wants one Answer.
type Request struct {
	Proc event.ProcID
	// Generation had begun when the request was made.
	Generation event.Generation
}

// Requests takes up to n requests off the queue. The result is valid until the
// next call.
func (t *Table) Requests(n int) []Request {
	t.drained = t.drained[:0]
	i := 0
	for ; i < len(t.requests) && len(t.drained) < n; i++ {
		r := t.requests[i]
		in := t.instances[r.Proc]
		if in == nil {
			continue
		}
		if in.exit != 0 { // too late
			in.reads.flying--
			continue
		}
		t.drained = append(t.drained, r)
	}
	t.requests = shrink(slices.Delete(t.requests, 0, i))
	return t.drained
}

// Expect is told of a sample when it arrives, ahead of its completion: if
// nothing is known about its life and no read is on its way, one is asked for,
// as early as possible.
func (t *Table) Expect(s *event.Sample) {
	if s.Worker && s.TID == s.Proc.PID || s.UserStack == event.UserExec || s.UserStack == event.UserExit {
		return // there is no image, it is about to change, or it is gone
	}
	in := t.instances[s.Proc]
	if in == nil {
		// The sample is later than W, so the instance cannot have been freed yet.
		if in = t.create(s.Proc, s.KTime); in == nil {
			return
		}
		in.unsure = t.forgot
	}
	if l := in.life(s.Generation); l != nil {
		t.want(in, l)
		return
	}
	t.ask(in, s.Generation)
}

// Missed is told of a sample whose leaf lies in no mapping: the mappings may have
// changed since they were read, or the records of that were lost. A re-read is asked for, at
// most one in a while.
func (t *Table) Missed(l *Life, s *event.Sample) {
	in := l.owner
	if in == nil || in.newest() != l || l.stray || l.memory == nil || l.memory.proven == 0 || s.KTime <= l.memory.read {
		return // it is read anyway, or a read after the sample has been done already
	}
	r := &in.reads
	if r.flying > 0 || r.missed != 0 && s.KTime < r.missed+t.settings.ReadInterval {
		return
	}
	r.tries = 0
	if t.ask(in, l.Generation) {
		r.missed = s.KTime
	}
}

// want asks for a read if the life needs one.
func (t *Table) want(in *instance, l *Life) {
	if l.Worker || l.stray || t.told(l) {
		return
	}
	if l.memory != nil && l.memory.proven > 0 && l.memory.proven < t.doubted {
		// It was read before. Doubt may come at each completion: who makes the kernel
		// lose records must not make us read all processes all the time.
		r := &in.reads
		if r.doubted != 0 && t.w < r.doubted+doubtIntervals*t.settings.ReadInterval {
			return
		}
		r.doubted, r.tries = max(t.w, 1), 0
	}
	t.ask(in, l.Generation)
}

// told reports whether everything wanted of a life is known.
func (t *Table) told(l *Life) bool {
	named := l.Image() != nil || !t.settings.ReadAll && l.Executable() != ""
	return named && t.known(l)
}

// ask queues a request if it makes sense: the instance can be read, the
// generation is not known to be over, and no such read is on its way.
func (t *Table) ask(in *instance, g event.Generation) bool {
	r := &in.reads
	if in.exit != 0 || in.gone || in.unsure {
		return false
	}
	if n := in.newest(); n != nil && g < n.Generation {
		return false
	}
	if g > r.asked {
		r.tries = 0
	} else if r.flying > 0 {
		return false
	}
	if r.tries >= maxTries {
		return false
	}
	if len(t.requests) >= t.settings.MaxRequests {
		t.stats.RequestsDropped++
		return false
	}
	r.tries++
	r.flying++
	r.asked = max(r.asked, g)
	t.requests = append(t.requests, Request{in.proc, g})
	return true
}
