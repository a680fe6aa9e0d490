// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// walk has the sampler walk stacks by tables: those of the processes that are
// sampled. Until their tables are placed it follows frame pointers.
type walk struct {
	on   bool
	code *code
	// published is the version of the memory that the sampler has of a life.
	published map[*process.Life]uint64
	// due are the lives whose memory is to be published.
	due    []*process.Life
	queued map[*process.Life]struct{}
	// waiting are the lives that have a file mapped whose table is on its way.
	waiting map[event.FileID][]*process.Life
	spaces  []unwind.Space
	over    []unwind.Space
}

// placed are the tables of a file, and where the file wants its code to be.
type placed struct {
	pieces   []unwind.Piece
	segments []symbol.Segment
}

func newWalk(on bool, c *code) *walk {
	return &walk{
		on: on, code: c,
		published: map[*process.Life]uint64{},
		queued:    map[*process.Life]struct{}{},
		waiting:   map[event.FileID][]*process.Life{},
	}
}

// sampled is told whose sample was taken.
func (w *walk) sampled(life *process.Life) {
	if v := life.Version(); w.on && v != 0 && w.published[life] != v {
		w.queue(life)
	}
}

func (w *walk) queue(life *process.Life) {
	if _, ok := w.queued[life]; !ok {
		w.queued[life] = struct{}{}
		w.due = append(w.due, life)
	}
}

// arrived is told that a file was read.
func (w *walk) arrived(id event.FileID, ok bool) {
	lives := w.waiting[id]
	delete(w.waiting, id)
	for _, life := range lives {
		if _, known := w.published[life]; known && ok {
			w.queue(life)
		}
	}
}

// complete describes the memory of the lives that are due. Tables that are still on
// their way make it due again.
func (w *walk) complete() {
	for _, life := range w.due {
		delete(w.queued, life)
		if life.Exited() {
			continue
		}
		w.published[life] = life.Version()
		w.spaces = append(w.spaces, w.space(life))
	}
	clear(w.due)
	w.due = w.due[:0]
}

func (w *walk) space(life *process.Life) unwind.Space {
	s := unwind.Space{Proc: life.Proc, Generation: life.Generation}
	for m := range life.Mappings {
		id := w.code.id(m)
		file, ok := w.code.placed[id]
		if !ok && w.code.want(id, m, life) {
			w.waiting[id] = append(w.waiting[id], life)
		}
		s.Regions = unwind.Regions(s.Regions, m.Start, m.End, file.bias(m), file.pieces)
	}
	return s
}

// bias is how far from the file's own addresses the mapping is, modulo 2^64.
func (p placed) bias(m *event.Mapping) uint64 {
	for _, s := range p.segments {
		if s.Offset < m.Offset+(m.End-m.Start) && m.Offset < s.Offset+s.Size {
			return m.Start + (s.Offset - m.Offset) - s.Address
		}
	}
	return 0
}

// forget drops lives that are over.
func (w *walk) forget(lives []*process.Life) {
	for _, life := range lives {
		if _, ok := w.published[life]; ok {
			delete(w.published, life)
			w.over = append(w.over, unwind.Space{Proc: life.Proc, Generation: life.Generation})
		}
	}
}
