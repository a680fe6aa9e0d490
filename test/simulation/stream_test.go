// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"cmp"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// stream is all that happened on a host. Whoever reads it sees of it what could
// be seen at the time.
type stream struct {
	scenario
	seed uint64
	// programs ascend by their start.
	programs []*program
	// rings are the records of each CPU, in the order of reservation; shared are
	// those of all samples, as if there was one ring.
	rings  [][]*program
	shared []*program
	// shells are there from the start.
	shells, children []*instance
	// lingering are the programs that ran for very long.
	lingering []*program
	end       event.KTime
}

func (h *host) stream() *stream {
	s := &stream{scenario: h.scenario, programs: h.programs, rings: make([][]*program, h.scenario.cpus),
		shells: h.shells, children: h.children, end: boot + h.length}
	for _, p := range h.programs {
		if p.end-p.start > patience/4 {
			s.lingering = append(s.lingering, p)
		}
		if p.lost {
			continue
		}
		s.rings[p.cpu] = append(s.rings[p.cpu], p)
		if p.kind == sample {
			s.shared = append(s.shared, p)
		}
	}
	for _, ring := range s.rings {
		slices.SortFunc(ring, byReservation)
	}
	slices.SortFunc(s.shared, byReservation)
	slices.SortStableFunc(s.programs, func(a, b *program) int { return cmp.Compare(a.start, b.start) })
	return s
}

func byReservation(a, b *program) int {
	return cmp.Or(cmp.Compare(a.reserve, b.reserve), cmp.Compare(a.cpu, b.cpu))
}

// lingers reports whether a program runs for longer than is usual, or did until a
// moment ago.
func (s *stream) lingers(now event.KTime) bool {
	return slices.ContainsFunc(s.lingering, func(p *program) bool {
		return p.start <= now && now < p.end+patience
	})
}

func byEnd(a, b *program) int { return cmp.Compare(a.end, b.end) }

// listed are the processes that an iteration over all tasks shows.
func (s *stream) listed(at event.KTime) []event.Task {
	var tasks []event.Task
	for _, p := range slices.Concat(s.shells, s.children) {
		if p.listed <= at && (p.unlisted == 0 || at < p.unlisted) {
			tasks = append(tasks, p.task())
		}
	}
	return tasks
}
