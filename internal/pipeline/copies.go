// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// copies walks the stacks that the sampler copied, because it did not have the tables
// of the process yet. Those that lack one here too wait for it, until their window is
// handed out.
type copies struct {
	code *code
	rule func(unwind.Piece, uint32) unwind.Rule
	// waiting take bytes, of at most so many.
	waiting         []copied
	bytes, maxBytes int
	frames          []uint64
	walked          uint64
}

// copied is a sample that waits.
type copied struct {
	counter
	sample event.Sample
}

func newCopies(c *code, rule func(unwind.Piece, uint32) unwind.Rule, maxBytes int) *copies {
	return &copies{code: c, rule: rule, maxBytes: maxBytes}
}

// take walks the stack of a sample and puts its frames in place of the copy, valid
// until the next call. False: the sample waits.
func (c *copies) take(to counter, s *event.Sample) bool {
	frames, end, whole := c.walk(to, s)
	if !whole && c.bytes+size(s) <= c.maxBytes {
		c.ask(to.life)
		c.bytes += size(s)
		to.memory = to.memory.Keep()
		own := *s
		own.Kernel, own.User = slices.Clone(s.Kernel), slices.Clone(s.User)
		c.waiting = append(c.waiting, copied{to, own})
		return false
	}
	s.User, s.UserStack = frames, end
	c.walked++
	return true
}

// ask asks for all tables of a life at once: its stacks may lead to any.
func (c *copies) ask(life *process.Life) {
	for m := range life.Mappings {
		id := c.code.id(m)
		if _, ok := c.code.tables.get(id); !ok && !c.code.isAbsent(m) {
			c.code.want(id, m, holders(life))
		}
	}
}

// size is what a sample takes that waits.
func size(s *event.Sample) int { return 8 * (len(s.Kernel) + len(s.User)) }

// retry walks the stacks that wait and yields those that need not any more, and all of
// the window that ends.
func (c *copies) retry(ending *window, yield func(counter, *event.Sample)) {
	kept := c.waiting[:0]
	for _, w := range c.waiting {
		if !w.memory.Known() {
			w.memory = w.life.Memory().Keep()
		}
		frames, end, whole := c.walk(w.counter, &w.sample)
		if !whole && w.window != ending {
			kept = append(kept, w)
			continue
		}
		c.bytes -= size(&w.sample)
		c.walked++
		w.sample.User, w.sample.UserStack = frames, end
		yield(w.counter, &w.sample)
	}
	clear(c.waiting[len(kept):])
	if c.waiting = kept; len(kept) == 0 {
		c.waiting = nil
	}
}

// oldest is the stamp of the oldest sample that waits, if one does.
func (c *copies) oldest() (k event.KTime, any bool) {
	for i := range c.waiting {
		if at := c.waiting[i].sample.KTime; !any || at < k {
			k, any = at, true
		}
	}
	return k, any
}

// walk returns the frames of a sample's stack, valid until the next call, and how it
// ends. whole: more will not be known.
func (c *copies) walk(of counter, s *event.Sample) (frames []uint64, end event.UserStack, whole bool) {
	stack, ok := unwind.CopyOf(s.User)
	if !ok {
		return nil, event.UserFailed, true
	}
	whole = true
	c.frames, end = stack.Walk(unwind.Native(), func(address uint64) (unwind.Rule, unwind.Code) {
		m := of.memory.Find(address, s.KTime)
		if m == nil {
			whole = whole && of.memory.Known()
			return unwind.NoInfo, unwind.CodeUnknown
		}
		rule, code, known := c.find(m, of.life, address)
		whole = whole && known
		return rule, code
	}, c.frames[:0])
	return c.frames, end, whole
}

// find returns the rule at an address of a mapping. It is not known if the table of the
// file is on its way.
func (c *copies) find(m *event.Mapping, life *process.Life, address uint64) (rule unwind.Rule, code unwind.Code, known bool) {
	id := c.code.id(m)
	file, ok := c.code.tables.get(id)
	if !ok {
		return unwind.NoInfo, unwind.CodeBare, c.code.isAbsent(m) || !c.code.want(id, m, holders(life))
	}
	bias := file.bias(m)
	for _, p := range file.pieces {
		if offset, ok := p.Holds(address, bias); ok {
			return c.rule(p, offset), unwind.CodeOfTable, true
		}
	}
	return unwind.NoInfo, unwind.CodeBare, true
}
