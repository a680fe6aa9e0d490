// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

const (
	// roundLimit is how many samples a round of the heuristic reads at most.
	roundLimit = 4096
	// ringSeconds is for how long its ring takes all samples: it is made for one
	// second of the largest ones, which are ten times the usual ones.
	ringSeconds = 10
)

// minimum is the heuristic that is in use elsewhere: a round that follows another
// states the lowest stamp of the one before, or its own lowest if that is lower.
// The idea is that what was running then has been submitted by now.
//
// It reads one ring for all CPUs, in the order of reservation, a limited number
// of samples per round, and waits for those that are not committed. Only samples
// count, as lifecycle events take another way there. Reading costs what it costs
// us, and the same records take long.
type minimum struct {
	now    event.KTime
	stream *stream
	tally  *tally
	names  *byPID
	// ring holds what is in it, coming what is not reserved yet.
	ring, coming []*program
	// overrun is how many samples found the ring full.
	overrun int

	previous, lowest event.KTime
}

func minimize(s *stream) *minimum {
	m := &minimum{now: boot, stream: s, tally: &tally{stream: s}, names: newByPID(s), coming: s.shared}
	poll := newTicker(pollInterval)
	for {
		if m.now = poll.take(m.now); m.now >= s.end {
			m.tally.over(s.end)
			return m
		}
		m.read()
		m.state()
		m.tally.roundOver(m.now)
	}
}

// read is a round: until the ring is empty or the limit is reached.
func (m *minimum) read() {
	m.lowest = 0
	for range roundLimit {
		if m.arrive(); len(m.ring) == 0 {
			return
		}
		p := m.ring[0]
		m.ring = m.ring[1:]
		m.now = max(m.now, p.commit) + readCost + p.slow
		m.tally.deliver(p)
		m.names.deliver(p, m.now)
		if m.lowest == 0 || p.ktime() < m.lowest {
			m.lowest = p.ktime()
		}
	}
}

// arrive lets in what was reserved by now, as far as there is room.
func (m *minimum) arrive() {
	room := ringSeconds * m.stream.hz * m.stream.cpus
	for len(m.coming) > 0 && m.coming[0].reserve <= m.now {
		if len(m.ring) < room {
			m.ring = append(m.ring, m.coming[0])
		} else {
			m.overrun++
		}
		m.coming = m.coming[1:]
	}
}

// state completes at the end of a round.
func (m *minimum) state() {
	if until, ok := m.conclude(m.lowest); ok {
		m.tally.complete(until, m.now)
		m.names.complete(until)
		m.now += completeCost
	}
}

// conclude returns what a round states whose lowest stamp is given; 0: it read
// nothing.
func (m *minimum) conclude(lowest event.KTime) (event.KTime, bool) {
	until := m.previous
	m.previous = lowest
	if lowest > 0 && lowest <= until {
		until, m.previous = lowest, 0
	}
	return until, until > 0
}
