// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"cmp"
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// walk has the sampler walk stacks by tables: those of the processes that are sampled.
// A process is published when the tables of all that it has mapped are placed; until
// then, and whenever more come, its stacks are copied.
type walk struct {
	code    *code
	threads threadContexts
	// published are the lives that the sampler knows.
	published map[*process.Life]public
	// due are the lives whose memory is to be published.
	due map[*process.Life]struct{}
	// waiting are the lives that have a file mapped whose table is on its way.
	waiting map[event.FileID]map[*process.Life]struct{}
	// lacking are the lives that have one mapped whose table could not be had.
	lacking map[*process.Life]struct{}
	spaces  []unwind.Space
	over    []unwind.Space
	// until is the last completion, bases are of lives that are or were published, announced
	// are those that were since the sampler was told last.
	until     event.KTime
	bases     map[*process.Life]basis
	announced []*process.Life
}

// public is what the sampler has of a life.
type public struct {
	// version is of the memory; 0: it is to be published again with the next sample.
	version uint64
	files   []*placed
}

// basis is what stacks are walked by: from a time on by what was mapped at the time of, those
// taken earlier by what was mapped at the time before.
type basis struct{ of, from, before event.KTime }

const notYet event.KTime = math.MaxUint64

func (b basis) at(k event.KTime) event.KTime {
	if k < b.from {
		return b.before
	}
	return b.of
}

func newWalk(c *code) *walk {
	return &walk{
		code:      c,
		threads:   newThreadContexts(),
		published: map[*process.Life]public{},
		due:       map[*process.Life]struct{}{},
		waiting:   map[event.FileID]map[*process.Life]struct{}{},
		lacking:   map[*process.Life]struct{}{},
		bases:     map[*process.Life]basis{},
	}
}

// sampled is told whose sample was taken.
func (w *walk) sampled(life *process.Life) {
	if v := life.Version(); v != 0 && w.published[life].version != v {
		w.due[life] = struct{}{}
	}
}

// arrived is told that a file was read, or could not be.
func (w *walk) arrived(id event.FileID, ok bool) {
	lives := w.waiting[id]
	delete(w.waiting, id)
	for _, life := range inOrder(maps.Keys(lives)) {
		if !ok {
			w.lacking[life] = struct{}{}
		}
		if _, known := w.published[life]; ok || !known {
			w.publish(life)
		}
	}
}

// window begins: files that could not be had are asked for again, once.
func (w *walk) window() {
	for life := range w.lacking {
		if p, ok := w.published[life]; ok {
			w.published[life] = public{0, p.files}
		}
	}
	clear(w.lacking)
}

// complete publishes the lives that are due: those sampled first, and those whose
// memory has changed since.
func (w *walk) complete(until event.KTime) {
	w.until = until
	w.threads.complete(until, func(life *process.Life) { w.due[life] = struct{}{} })
	for life, p := range w.published {
		if p.version != 0 && life.Version() != p.version {
			w.due[life] = struct{}{}
		}
	}
	for _, life := range inOrder(maps.Keys(w.due)) {
		w.publish(life)
	}
	clear(w.due)
}

// publish describes the memory of a life, unless tables are on their way.
func (w *walk) publish(life *process.Life) {
	if !life.Current() {
		return
	}
	space, files, whole := w.space(life)
	if !whole {
		w.withdraw(life)
		return
	}
	for _, p := range files {
		p.users++
	}
	w.code.tables.release(w.published[life].files)
	w.published[life] = public{life.Version(), files}
	w.spaces = append(w.spaces, space)
	w.announce(life)
}

func (w *walk) announce(life *process.Life) {
	b := basis{of: w.until, from: notYet, before: w.until}
	if last, ok := w.bases[life]; ok {
		b.before = last.at(notYet - 1)
	}
	w.bases[life] = b
	w.announced = append(w.announced, life)
}

// told is when the sampler had been told of all that was published.
func (w *walk) told(k event.KTime) {
	for _, life := range w.announced {
		if b, ok := w.bases[life]; ok && b.from == notYet {
			b.from = k
			w.bases[life] = b
		}
	}
	w.announced = w.announced[:0]
}

// cut ends a stack that the sampler walked where other code was than it knew of: the
// tables may have been those of what was there before.
func (w *walk) cut(life *process.Life, s *event.Sample) {
	b, ok := w.bases[life]
	memory, since := life.Memory(), b.at(s.KTime)
	if !ok || s.UserStack < event.UserComplete || memory.Newest() <= since {
		return
	}
	for i, address := range s.User[:max(len(s.User), 1)-1] {
		if memory.ReplacedSince(since, address, s.KTime) {
			s.User, s.UserStack = s.User[:i+1], event.UserUnmapped
			return
		}
	}
}

func (w *walk) withdraw(life *process.Life) {
	if p, ok := w.published[life]; ok {
		delete(w.published, life)
		w.code.tables.release(p.files)
		w.over = append(w.over, unwind.Space{Proc: life.Proc, Generation: life.Generation})
	}
}

// inOrder makes what is done the same in each run.
func inOrder(lives iter.Seq[*process.Life]) []*process.Life {
	return slices.SortedFunc(lives, func(a, b *process.Life) int {
		return cmp.Or(cmp.Compare(a.Proc.Start, b.Proc.Start), cmp.Compare(a.Proc.PID, b.Proc.PID), cmp.Compare(a.Generation, b.Generation))
	})
}

// space describes the memory of a life, and which tables that takes. It is whole if no
// table is on its way.
func (w *walk) space(life *process.Life) (s unwind.Space, files []*placed, whole bool) {
	s, whole = unwind.Space{Proc: life.Proc, Generation: life.Generation}, true
	p, known := w.published[life]
	again := known && p.version == 0
	var variables []found
	for m := range life.Mappings {
		id := w.code.id(m)
		file, ok := w.code.tables.get(id)
		if !ok {
			whole = w.await(id, m, life, again) && whole
			s.Regions = unwind.Regions(s.Regions, m.Start, m.End, 0, nil)
			continue
		}
		s.Regions = unwind.Regions(s.Regions, m.Start, m.End, file.bias(m), file.pieces)
		files = append(files, file)
		if file.context.Known() {
			variables = append(variables, found{file.context, file.bias(m)})
		}
	}
	s.Context = w.threads.place(life, variables)
	return s, files, whole
}

// await asks for the table of a file, for one that could not be had only if it is to
// be asked for again. It returns false if an answer is worth waiting for.
func (w *walk) await(id event.FileID, m *event.Mapping, life *process.Life, again bool) (settled bool) {
	absent, asked := w.code.isAbsent(m), requestID(id, m)
	switch {
	case id == (event.FileID{}):
		return true
	case absent && !again, !w.code.want(id, m, holders(life)):
		w.lacking[life] = struct{}{}
		return true
	case w.waiting[asked] == nil:
		w.waiting[asked] = map[*process.Life]struct{}{}
	}
	w.waiting[asked][life] = struct{}{}
	return absent
}

// forget drops lives that are over.
func (w *walk) forget(lives []*process.Life) {
	w.threads.forget(lives)
	for _, life := range lives {
		delete(w.due, life)
		delete(w.lacking, life)
		delete(w.bases, life)
		for _, waiting := range w.waiting {
			delete(waiting, life)
		}
		w.withdraw(life)
	}
}
