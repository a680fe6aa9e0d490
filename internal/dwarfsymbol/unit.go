// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"bytes"
	"fmt"
)

// addressSize is the only one that is read.
const addressSize = 8

// unit is the header of a compilation unit and its first entry, of DWARF that is
// being read.
type unit struct {
	sections
	debug   *Debug
	offset  uint64 // of the header
	size    uint64 // with the header
	version uint16
	kind    uint8
	word    int // size of offsets
	header  uint64
	abbrevs abbrevs

	strBase, addrBase, rnglistsBase, rangesBase uint64

	low, high, ranges, line, name, dir, dwoName value
	base                                        uint64 // address that ranges are relative to
	id                                          uint64 // of a split unit
	// content is the whole unit while its entries are gone through.
	content []byte
	// skeleton is the unit in the executable file that this one was split from.
	skeleton *unit
}

// readUnit reads the header at offset (DWARF 5, 7.5.1) and the first entry.
func (d *Debug) readUnit(s sections, offset uint64, skeleton *unit) (*unit, error) {
	u := &unit{sections: s, debug: d, offset: offset, skeleton: skeleton}
	b, err := s.info.rest(offset, 64)
	if err != nil {
		return nil, err
	}
	c := cursor{b: b}
	n, word := c.length()
	left := len(c.b)
	u.word = word
	u.size = n + uint64(len(b)-left)
	u.version = c.u16()
	if c.short || u.size < n || u.size > s.info.size-offset {
		return nil, fmt.Errorf("%w: a unit of %d bytes at %d of %d", ErrDamaged, n, offset, s.info.size)
	}
	if u.version < 2 || u.version > 5 {
		return u, fmt.Errorf("%w: version %d", ErrUnsupported, u.version)
	}
	var table uint64
	var size uint8
	if u.version < 5 {
		table, size = c.word(word), c.u8()
		u.kind = unitCompile
	} else {
		u.kind, size, table = c.u8(), c.u8(), c.word(word)
		switch u.kind {
		case unitSkeleton, unitSplitCompile:
			u.id = c.u64()
		case unitType, unitSplitType:
			c.u64()
			c.word(word)
		}
	}
	if c.short || size != addressSize {
		return u, fmt.Errorf("%w: addresses of %d bytes", ErrUnsupported, size)
	}
	if u.header = uint64(len(b) - len(c.b)); u.header > u.size {
		return u, fmt.Errorf("%w: a unit of %d bytes at %d", ErrDamaged, n, offset)
	}
	if u.kind == unitType || u.kind == unitSplitType {
		return u, nil
	}
	if u.abbrevs, err = d.table(s.abbrev, table, word, addressSize); err != nil {
		return u, err
	}
	return u, u.readRoot()
}

// maxRoot bounds the first entry of a unit, which has the compiler's options.
const maxRoot = 64 << 10

// readRoot reads the first entry.
func (u *unit) readRoot() error {
	u.bases()
	b, err := u.info.rest(u.offset+u.header, min(u.size-u.header, maxRoot))
	if err != nil {
		return err
	}
	c := cursor{b: b}
	a, ok := u.abbrevs.get(c.uleb())
	if !ok {
		return fmt.Errorf("%w: unit at %d is empty", ErrDamaged, u.offset)
	}
	if a.tag != tagCompileUnit && a.tag != tagPartialUnit && a.tag != tagSkeletonUnit {
		return fmt.Errorf("%w: unit at %d begins with tag %#x", ErrDamaged, u.offset, a.tag)
	}
	if err := u.debug.spend(1 + len(a.attrs)); err != nil {
		return err
	}
	for _, at := range a.attrs {
		v, err := u.value(&c, at)
		if err != nil {
			return err
		}
		v.text = bytes.Clone(v.text)
		u.set(at.name, v)
	}
	if c.short {
		return fmt.Errorf("%w: first entry of the unit at %d", ErrDamaged, u.offset)
	}
	if u.low.there() {
		u.base, err = u.address(u.low)
	} else if u.skeleton != nil {
		u.base = u.skeleton.base
	}
	return err
}

// bases presets where numbered things are: behind the headers of their tables, or
// where the skeleton says.
func (u *unit) bases() {
	if u.version >= 5 {
		u.strBase, u.addrBase = uint64(2*u.word), uint64(2*u.word)
		u.rnglistsBase = uint64(u.word + 8)
		if u.word == 8 {
			u.rnglistsBase = 20
		}
	}
	if s := u.skeleton; s != nil {
		u.addrBase, u.rangesBase = s.addrBase, s.rangesBase
	}
}

// set takes an attribute of the first entry.
func (u *unit) set(name uint64, v value) {
	switch name {
	case atName:
		u.name = v
	case atCompDir:
		u.dir = v
	case atStmtList:
		u.line = v
	case atLowPC:
		u.low = v
	case atHighPC:
		u.high = v
	case atRanges:
		u.ranges = v
	case atDwoName, atGNUDwoName:
		u.dwoName = v
	case atStrOffsetsBase:
		u.strBase = v.n
	case atAddrBase, atGNUAddrBase:
		u.addrBase = v.n
	case atRnglistsBase:
		u.rnglistsBase = v.n
	case atGNURangesBase:
		u.rangesBase = v.n
	case atGNUDwoID:
		u.id = v.n
	}
}
