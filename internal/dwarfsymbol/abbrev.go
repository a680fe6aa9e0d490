// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import "fmt"

const (
	// maxAbbrevs bounds the bytes of one table. That of a large C++ unit has 20 KiB.
	maxAbbrevs = 4 << 20
	// maxTables bounds the tables that are kept at a time.
	maxTables = 64
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
		t, ended := parseAbbrevs(b, word, addr)
		if ended {
			if len(d.abbrevs) >= maxTables {
				clear(d.abbrevs)
			}
			d.abbrevs[key] = t
			return t, nil
		}
		if uint64(len(b)) < n {
			return abbrevs{}, fmt.Errorf("%w: abbreviations at %d do not end", ErrDamaged, off)
		}
	}
}

// parseAbbrevs reads the table that b begins with, if it ends there.
func parseAbbrevs(b []byte, word, addr int) (t abbrevs, ended bool) {
	c := cursor{b: b}
	for !c.short {
		code := c.uleb()
		if code == 0 {
			return t, !c.short
		}
		a := abbrev{tag: c.uleb(), children: c.u8() != 0}
		for {
			at := attr{name: c.uleb(), form: c.uleb()}
			if at.form == formImplicitConst {
				at.implicit = c.sleb()
			}
			if at.name == 0 && at.form == 0 || c.short {
				break
			}
			a.attrs = append(a.attrs, at)
			if size := fixedSize(at.form, word, addr); size < 0 || a.fixed < 0 {
				a.fixed = -1
			} else {
				a.fixed += size
			}
		}
		switch {
		case code == uint64(len(t.dense))+1:
			t.dense = append(t.dense, a)
		case t.sparse == nil:
			t.sparse = map[uint64]abbrev{code: a}
		default:
			t.sparse[code] = a
		}
	}
	return t, false
}
