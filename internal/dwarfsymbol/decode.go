// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"fmt"
	"math"
)

const (
	// maxUnit bounds a unit. Programs that are optimized as a whole have one.
	maxUnit = 128 << 20
	// maxDepth bounds the nesting of entries.
	maxDepth = 4096
	// maxScopes bounds the functions and inlined calls of a unit, maxSpans their ranges.
	maxScopes = 1 << 20
	maxSpans  = 2 << 20
)

// builder collects what becomes a Unit.
type builder struct {
	unit   *unit
	scopes []scope
	spans  []span
	rows   []row
	files  files
	text   text
	// origins are the names of functions by where they come from.
	origins map[origin]uint32
}

type origin struct {
	debug  *Debug
	offset uint64
}

// span is a range of addresses of a scope.
type span struct {
	extent
	scope, depth int32
}

// Unit reads unit n of the index. With ErrElsewhere it has lines, but no inlined
// calls.
func (d *Debug) Unit(x *Index, n uint32) (*Unit, error) {
	if uint64(n) >= uint64(len(x.offsets)) {
		return nil, fmt.Errorf("%w: unit %d of %d", ErrDamaged, n, len(x.offsets))
	}
	d.index = x
	d.budget()
	u, err := d.readUnit(d.sections, x.offsets[n], nil)
	if err != nil {
		return nil, err
	}
	b := builder{unit: u, origins: map[origin]uint32{}, text: newText()}
	if err := b.readLines(); err != nil {
		return nil, err
	}
	missing := b.readScopes(u)
	if b.text.full {
		return nil, fmt.Errorf("%w: more than %d bytes of names", ErrTooLarge, maxBlock)
	}
	if missing != nil {
		b.scopes, b.spans = nil, nil
	}
	return b.finish(), missing
}

// readScopes reads the functions and inlined calls of u, or of the unit that was split
// from it.
func (b *builder) readScopes(u *unit) (err error) {
	if u.dwoName.there() {
		if u, err = u.debug.split(u); err != nil {
			return err
		}
	}
	if u.size > maxUnit {
		return fmt.Errorf("%w: a unit of %d bytes, at most %d are read", ErrTooLarge, u.size, maxUnit)
	}
	if u.content, err = u.info.copy(u.offset, u.size); err != nil {
		return err
	}
	b.unit = u
	err = b.walk()
	u.content = nil
	return err
}

// walk goes through the entries of the unit.
func (b *builder) walk() error {
	u := b.unit
	c := cursor{b: u.content[u.header:]}
	around := []int32{-1} // by depth: the scope that entries are in
	for len(c.b) > 0 && len(around) > 0 {
		code := c.uleb()
		if code == 0 {
			around = around[:len(around)-1]
			continue
		}
		a, ok := u.abbrevs.get(code)
		if !ok {
			return fmt.Errorf("%w: no abbreviation %d", ErrDamaged, code)
		}
		in := around[len(around)-1]
		var err error
		if a.tag == tagSubprogram || a.tag == tagInlinedSubroutine {
			in, err = b.scope(&c, a, in, int32(len(around)))
		} else {
			err = u.skip(&c, a)
		}
		if err != nil {
			return err
		}
		if c.short {
			return fmt.Errorf("%w: an entry beyond the end of its unit", ErrDamaged)
		}
		if a.children {
			if around = append(around, in); len(around) > maxDepth {
				return fmt.Errorf("%w: entries are nested more than %d deep", ErrTooLarge, maxDepth)
			}
		}
	}
	return nil
}

// scope reads a function, or a call that was inlined into scope in, and returns the
// scope that the entries in it are in.
func (b *builder) scope(c *cursor, a *abbrev, in, depth int32) (int32, error) {
	u := b.unit
	e, err := u.entry(c, a)
	if err != nil {
		return -1, err
	}
	inlined := a.tag == tagInlinedSubroutine
	if inlined && in < 0 {
		return -1, nil // in the abstract instance of a function
	}
	if len(b.scopes) >= maxScopes {
		return -1, fmt.Errorf("%w: more than %d functions", ErrTooLarge, maxScopes)
	}
	n, before := int32(len(b.scopes)), len(b.spans)
	err = u.extents(e.low, e.high, e.ranges, func(x extent) {
		if b.debug().keeps(x) && len(b.spans) < maxSpans {
			b.spans = append(b.spans, span{x, n, depth})
		}
	})
	if err != nil {
		return -1, err
	}
	if len(b.spans) == before { // no instruction is left of it
		if inlined {
			return in, nil
		}
		return -1, nil
	}
	s := scope{parent: -1}
	if s.name, err = b.name(e); err != nil {
		return -1, err
	}
	if inlined {
		s.parent = in
		s.line = uint32(min(e.callLine.n, math.MaxInt32))
		if s.file, err = b.file(e.callFile.n); err != nil {
			return -1, err
		}
	}
	b.scopes = append(b.scopes, s)
	return n, nil
}

// debug is that of the executable file.
func (b *builder) debug() *Debug {
	if s := b.unit.skeleton; s != nil {
		return s.debug
	}
	return b.unit.debug
}

// name returns where in the text the name of a function is.
func (b *builder) name(e entry) (uint32, error) {
	if e.linkage.there() || !e.next().there() {
		name, err := b.unit.functionName(e)
		return b.text.add(name), err
	}
	to, off, err := b.unit.target(e.next())
	if err != nil {
		return b.nameWithout(e, err)
	}
	key := origin{to.debug, off}
	if at, ok := b.origins[key]; ok && !e.name.there() {
		return at, nil
	}
	name, err := b.unit.functionName(e)
	if err != nil && name == nil {
		return b.nameWithout(e, err)
	}
	at := b.text.add(name)
	b.origins[key] = at
	return at, nil
}

// nameWithout is the name of a function whose reference leads nowhere: its own if it
// has one. That a supplementary file is not there costs names of inlined calls only.
func (b *builder) nameWithout(e entry, err error) (uint32, error) {
	if e.name.there() {
		name, err := b.unit.text(e.name)
		return b.text.add(name), err
	}
	return 0, err
}

// maxBlock bounds the names and paths of a unit. They may overlap in the file, and here
// they do not.
const maxBlock = 32 << 20

// text is a block of strings, each once, each ended by a zero byte. The empty one is
// at 0.
type text struct {
	bytes []byte
	at    map[string]uint32
	full  bool
}

func newText() text { return text{bytes: []byte{0}, at: map[string]uint32{"": 0}} }

func (t *text) add(s []byte) uint32 {
	if len(s) > maxText {
		s = s[:maxText]
	}
	if at, ok := t.at[string(s)]; ok {
		return at
	}
	if len(t.bytes)+len(s) > maxBlock {
		t.full = true
		return 0
	}
	at := uint32(len(t.bytes))
	t.at[string(s)] = at
	t.bytes = append(append(t.bytes, s...), 0)
	return at
}
