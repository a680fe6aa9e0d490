// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"cmp"
	"fmt"
	"slices"
)

// fde is a frame description entry: a range of addresses and the instructions for
// it (DWARF 5 section 6.4.1).
type fde struct {
	start, end uint64
	// from and to are where in the section the instructions are, cie which of
	// its CIEs it belongs to.
	from, to, cie int32
}

// What can be wrong with an FDE. A file may have millions of them, so it is not
// put into words each time.
var (
	errNoCIE = fmt.Errorf("%w: an FDE without CIE", ErrDamaged)
	errFDEs  = fmt.Errorf("%w: more than %d FDEs", ErrTooLarge, maxFDEs)
	errWraps = fmt.Errorf("%w: code beyond the end of the address space", ErrDamaged)
)

// entries are the CIEs and FDEs of a section.
type entries struct {
	*section
	cies []cie
	// index finds a CIE by where it starts in the section.
	index map[uint64]int32
	fdes  []fde
}

// list reads the entries of a section, FDEs of code in the order of addresses.
// CIEs come first, because in .debug_frame they may be behind their FDEs.
func (b *builder) list(s *section) entries {
	l := entries{section: s, index: make(map[uint64]int32)}
	err := s.walk(func(r record) {
		if r.isCIE && len(l.cies) < maxCIEs {
			l.index[uint64(r.start)] = int32(len(l.cies))
			l.cies = append(l.cies, b.machine.readCIE(s, r))
		}
	})
	if err != nil {
		b.damage(err)
	}
	// The error was seen already.
	_ = s.walk(func(r record) {
		if r.isCIE {
			return
		}
		if f, err := l.readFDE(r); err != nil {
			b.damageAt(s, "FDE at", uint64(r.start), err)
		} else if b.clip(&f) {
			l.fdes = append(l.fdes, f)
		}
	})
	// Of those at one address the first in the section wins.
	slices.SortFunc(l.fdes, func(a, b fde) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.from, b.from))
	})
	return l
}

// readCIE reads the CIE that is record r and runs its instructions.
func (m *machine) readCIE(s *section, r record) cie {
	c := cursor{data: s.data[:r.end], at: r.body, addr: s.addr}
	var e cie
	e.parse(&c)
	e.initial = m.runCIE(&e, &c)
	e.err = c.err
	return e
}

// readFDE reads the FDE that is record r, up to its instructions.
func (l *entries) readFDE(r record) (fde, error) {
	i, ok := l.index[r.cie]
	if !ok {
		return fde{}, errNoCIE
	}
	e := &l.cies[i]
	if e.err != nil {
		return fde{}, e.err
	}
	if len(l.fdes) == maxFDEs {
		return fde{}, errFDEs
	}
	c := cursor{data: l.data[:r.end], at: r.body, addr: l.addr}
	start := c.pointer(e.encoding)
	length := c.value(e.encoding)
	if e.sized {
		c.take(c.uleb())
	}
	if c.err == nil && start+length < start {
		c.fail(errWraps)
	}
	return fde{start: start, end: start + length, from: int32(c.at), to: int32(r.end), cie: i}, c.err
}

// clip cuts an FDE to the executable segment that it starts in. Outside of any it
// describes nothing: linkers leave FDEs of functions that they dropped, at zero.
func (b *builder) clip(f *fde) bool {
	if f.start == 0 {
		return false
	}
	for _, s := range b.code {
		if f.start >= s.Addr && f.start-s.Addr < s.Memsz {
			f.end = min(f.end, s.Addr+s.Memsz)
			return f.end > f.start
		}
	}
	return false
}
