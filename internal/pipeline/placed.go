// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/threadlocal"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// tableLinger is how long a table is kept that no process uses: programs come again.
const tableLinger = event.KTime(time.Minute)

// placed are the tables of a file, where the file wants its code to be, and what it tells
// of its threads' context.
type placed struct {
	pieces   []unwind.Piece
	segments []symbol.Segment
	context  threadlocal.Variable
	// users are the published processes that have the file mapped. used is when it was
	// last of use.
	users int
	used  event.KTime
	// gone: another took its place, and it is dropped with its last user.
	gone bool
}

// shelf keeps the tables that have been placed, by file, as long as they are of use.
type shelf struct {
	files map[event.FileID]*placed
	// now is the completion that is under way.
	now event.KTime
	// tight: a table found no room since the last sweep.
	tight bool
	// dropped are pieces that are of no use any more.
	dropped []unwind.Piece
}

// get returns the tables of a file if they are known.
func (s *shelf) get(id event.FileID) (*placed, bool) {
	p, ok := s.files[id]
	if ok {
		p.used = s.now
	}
	return p, ok
}

// put keeps the tables of a file in place of others.
func (s *shelf) put(id event.FileID, p *placed) {
	if old, ok := s.files[id]; ok {
		s.remove(id, old)
	}
	if len(s.files) >= maxBuildIDs {
		s.sweep(true)
	}
	p.used = s.now
	s.files[id] = p
}

// release is told that a process uses these tables no more.
func (s *shelf) release(files []*placed) {
	for _, p := range files {
		p.users--
		p.used = s.now
		if p.gone && p.users == 0 {
			s.dropped = append(s.dropped, p.pieces...)
		}
	}
}

// complete drops the tables that were of no use for a while, or all such if room is
// tight.
func (s *shelf) complete() {
	s.sweep(s.tight)
	s.tight = false
}

func (s *shelf) sweep(all bool) {
	for id, p := range s.files {
		if p.users == 0 && (all || p.used+tableLinger < s.now) {
			s.remove(id, p)
		}
	}
}

func (s *shelf) remove(id event.FileID, p *placed) {
	delete(s.files, id)
	if p.gone = true; p.users == 0 {
		s.dropped = append(s.dropped, p.pieces...)
	}
}

// bias is how far from the file's own addresses the mapping is, modulo 2^64. Two
// segments may share a page of the file, which is then in the mappings of both: the
// mapping is of the one that begins in its first page, else of which it shows most.
func (p *placed) bias(m *event.Mapping) (bias uint64) {
	const page = 4096
	most := uint64(0)
	for _, s := range p.segments {
		from, to := max(s.Offset, m.Offset), min(s.Offset+s.Size, m.Offset+(m.End-m.Start))
		if from >= to {
			continue
		}
		of := m.Start + (s.Offset - m.Offset) - s.Address
		if s.Offset/page == m.Offset/page && s.Offset >= m.Offset {
			return of
		}
		if to-from > most {
			most, bias = to-from, of
		}
	}
	return bias
}
