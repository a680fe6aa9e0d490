// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"cmp"
	"slices"

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
	waiting map[event.FileID]map[*process.Life]struct{}
	// lacking are the lives that have one mapped whose table could not be had.
	lacking map[*process.Life]struct{}
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
		waiting:   map[event.FileID]map[*process.Life]struct{}{},
		lacking:   map[*process.Life]struct{}{},
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

// arrived is told that a file was read, or could not be.
func (w *walk) arrived(id event.FileID, ok bool) {
	lives := w.waiting[id]
	delete(w.waiting, id)
	for life := range lives {
		if ok {
			w.queue(life)
		} else {
			w.lacking[life] = struct{}{}
		}
	}
}

// window begins: files that could not be had are asked for again, once.
func (w *walk) window() {
	for life := range w.lacking {
		if _, ok := w.published[life]; ok {
			w.published[life] = 0
		}
	}
	clear(w.lacking)
}

// complete describes the memory of the lives that are due: those sampled first, those
// whose memory has changed since, and those whose tables have arrived.
func (w *walk) complete() {
	for life, version := range w.published {
		if version != 0 && life.Version() != version {
			w.queue(life)
		}
	}
	slices.SortFunc(w.due, func(a, b *process.Life) int {
		return cmp.Or(cmp.Compare(a.Proc.Start, b.Proc.Start), cmp.Compare(a.Proc.PID, b.Proc.PID), cmp.Compare(a.Generation, b.Generation))
	})
	for _, life := range w.due {
		if _, ok := w.queued[life]; ok && life.Current() {
			w.published[life] = life.Version()
			w.spaces = append(w.spaces, w.space(life))
		}
	}
	clear(w.queued)
	clear(w.due)
	w.due = w.due[:0]
}

func (w *walk) space(life *process.Life) unwind.Space {
	s := unwind.Space{Proc: life.Proc, Generation: life.Generation}
	for m := range life.Mappings {
		id := w.code.id(m)
		file, ok := w.code.placed[id]
		if !ok {
			w.await(id, m, life)
		}
		s.Regions = unwind.Regions(s.Regions, m.Start, m.End, file.bias(m), file.pieces)
	}
	return s
}

// await asks for the table of a file.
func (w *walk) await(id event.FileID, m *event.Mapping, life *process.Life) {
	switch {
	case id == (event.FileID{}):
	case !w.code.want(id, m, processes(life)):
		w.lacking[life] = struct{}{}
	case w.waiting[id] == nil:
		w.waiting[id] = map[*process.Life]struct{}{life: {}}
	default:
		w.waiting[id][life] = struct{}{}
	}
}

// bias is how far from the file's own addresses the mapping is, modulo 2^64. Two
// segments may share a page of the file, which is then in the mappings of both: the
// mapping is of the one that begins in its first page, else of which it shows most.
func (p placed) bias(m *event.Mapping) (bias uint64) {
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

// forget drops lives that are over.
func (w *walk) forget(lives []*process.Life) {
	for _, life := range lives {
		delete(w.queued, life)
		delete(w.lacking, life)
		for _, waiting := range w.waiting {
			delete(waiting, life)
		}
		if _, ok := w.published[life]; ok {
			delete(w.published, life)
			w.over = append(w.over, unwind.Space{Proc: life.Proc, Generation: life.Generation})
		}
	}
}
