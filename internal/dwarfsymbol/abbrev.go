// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"fmt"
	"unsafe"
)

const (
	// maxAbbrevs bounds the bytes of one table. That of a large C++ unit has 20 KiB.
	maxAbbrevs = 4 << 20
	// maxAttrs bounds the attributes of an abbreviation, of which compilers use 15. Some take
	// no byte of an entry, and all the time to look at.
	maxAttrs = 256
	// maxTables bounds the tables that are kept at a time, and maxKept their memory. That of
	// a large C++ unit has 200 KiB.
	maxTables = 1024
	maxKept   = 32 << 20
)

// abbrev says how a kind of entries looks (DWARF 5, 7.5.3).
type abbrev struct {
	tag      uint64
	children bool
	attrs    []attr
	// fixed is the size of an entry, -1 if it depends on the entry.
	fixed int
}

type attr struct {
	name, form uint64
	implicit   int64
}

// abbrevs are those of a unit by code, which is usually a number from 1 on.
type abbrevs struct {
	dense  []abbrev // code 1 is the first
	sparse map[uint64]abbrev
	size   int // in memory
}

func (t *abbrevs) get(code uint64) (*abbrev, bool) {
	if code-1 < uint64(len(t.dense)) {
		return &t.dense[code-1], true
	}
	a, ok := t.sparse[code]
	return &a, ok
}

// table returns the abbreviations at off in s.
func (d *Debug) table(s *section, off uint64, word, addr int) (abbrevs, error) {
	key := s.from + off
	if t, ok := d.abbrevs[key]; ok {
		return t, nil
	}
	for n := uint64(4 << 10); ; n *= 8 {
		b, err := s.rest(off, min(n, maxAbbrevs))
		if err != nil {
			return abbrevs{}, err
		}
		if err := d.spend(len(b)); err != nil {
			return abbrevs{}, err
		}
		t, ended, err := parseAbbrevs(b, word, addr)
		if err != nil {
			return abbrevs{}, fmt.Errorf("abbreviations at %d: %w", off, err)
		}
		if ended {
			d.keep(key, t)
			return t, nil
		}
		if uint64(len(b)) < n {
			return abbrevs{}, fmt.Errorf("%w: abbreviations at %d do not end", ErrDamaged, off)
		}
	}
}

// keep keeps a table for other units. Those that are known have theirs, too.
func (d *Debug) keep(key uint64, t abbrevs) {
	if len(d.abbrevs) >= maxTables || d.kept+t.size > maxKept {
		clear(d.abbrevs)
		clear(d.units)
		d.kept = 0
	}
	d.abbrevs[key] = t
	d.kept += t.size
}

// parseAbbrevs reads the table that b begins with, if it ends there.
func parseAbbrevs(b []byte, word, addr int) (t abbrevs, ended bool, err error) {
	c := cursor{b: b}
	for !c.short {
		code := c.uleb()
		if code == 0 {
			return t, !c.short, nil
		}
		a, err := parseAbbrev(&c, word, addr)
		if err != nil {
			return t, false, err
		}
		if t.add(code, a); t.size > maxKept {
			return t, false, fmt.Errorf("%w: they take more than %d bytes", ErrTooLarge, maxKept)
		}
	}
	return t, false, nil
}

func parseAbbrev(c *cursor, word, addr int) (abbrev, error) {
	a := abbrev{tag: c.uleb(), children: c.u8() != 0}
	for {
		at := attr{name: c.uleb(), form: c.uleb()}
		if at.form == formImplicitConst {
			at.implicit = c.sleb()
		}
		if at.name == 0 && at.form == 0 || c.short {
			return a, nil
		}
		if len(a.attrs) == maxAttrs {
			return a, fmt.Errorf("%w: one has more than %d attributes", ErrTooLarge, maxAttrs)
		}
		a.attrs = append(a.attrs, at)
		if size := fixedSize(at.form, word, addr); size < 0 || a.fixed < 0 {
			a.fixed = -1
		} else {
			a.fixed += size
		}
	}
}

func (t *abbrevs) add(code uint64, a abbrev) {
	switch {
	case code == uint64(len(t.dense))+1:
		t.dense = append(t.dense, a)
	case t.sparse == nil:
		t.sparse = map[uint64]abbrev{code: a}
	default:
		t.sparse[code] = a
	}
	t.size += int(unsafe.Sizeof(a)) + cap(a.attrs)*int(unsafe.Sizeof(attr{}))
}
