// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"bytes"
	"fmt"
)

const (
	// maxHops bounds the references from a function to its name. Two are usual.
	maxHops = 8
	// maxEntry bounds an entry that is read for its name.
	maxEntry = 4 << 10
	// maxKnown bounds the unit headers that are kept at a time.
	maxKnown = 1024
)

// entry is what is read of a debugging information entry.
type entry struct {
	low, high, ranges, origin, specification, name, linkage, callFile, callLine value
}

// entry reads the attributes of an entry.
func (u *unit) entry(c *cursor, a *abbrev) (e entry, err error) {
	if err := u.debug.spend(1 + len(a.attrs)); err != nil {
		return e, err
	}
	for _, at := range a.attrs {
		v, err := u.value(c, at)
		if err != nil {
			return e, err
		}
		switch at.name {
		case atLowPC:
			e.low = v
		case atHighPC:
			e.high = v
		case atRanges:
			e.ranges = v
		case atAbstractOrigin:
			e.origin = v
		case atSpecification:
			e.specification = v
		case atName:
			e.name = v
		case atLinkageName, atMIPSLinkage:
			e.linkage = v
		case atCallFile:
			e.callFile = v
		case atCallLine:
			e.callLine = v
		}
	}
	return e, nil
}

// skip passes over an entry.
func (u *unit) skip(c *cursor, a *abbrev) error {
	if a.fixed >= 0 {
		c.take(uint64(a.fixed))
		return u.debug.spend(1)
	}
	if err := u.debug.spend(1 + len(a.attrs)); err != nil {
		return err
	}
	for _, at := range a.attrs {
		if at.form == formString {
			c.text()
		} else if _, err := u.value(c, at); err != nil {
			return err
		}
	}
	return nil
}

// next is where the name of an entry is if it has none itself.
func (e *entry) next() value {
	if e.specification.there() {
		return e.specification
	}
	return e.origin
}

// functionName returns the name that the linker knows a function by, or else the one
// in the source. An entry may leave both to the one that it is a copy of.
func (u *unit) functionName(e entry) ([]byte, error) {
	var name []byte
	for range maxHops {
		if e.linkage.there() {
			return u.text(e.linkage)
		}
		if name == nil && e.name.there() {
			text, err := u.text(e.name)
			if err != nil {
				return nil, err
			}
			name = bytes.Clone(text)
		}
		to := e.next()
		if !to.there() {
			break
		}
		var err error
		if u, e, err = u.follow(to); err != nil {
			return name, err
		}
	}
	return name, nil
}

// target returns the unit and the offset in its section that a reference leads to.
func (u *unit) target(v value) (*unit, uint64, error) {
	switch v.form {
	case formRef1, formRef2, formRef4, formRef8, formRefUdata:
		return u, u.offset + v.n, nil
	case formRefAddr:
		to, err := u.debug.unitAround(v.n)
		return to, v.n, err
	case formGNURefAlt, formRefSup4, formRefSup8:
		alt, err := u.debug.supplement()
		if err != nil {
			return nil, 0, err
		}
		to, err := alt.unitAround(v.n)
		return to, v.n, err
	}
	return nil, 0, fmt.Errorf("%w: form %#x of a reference", ErrUnsupported, v.form)
}

// follow returns the entry that a reference leads to.
func (u *unit) follow(v value) (*unit, entry, error) {
	to, off, err := u.target(v)
	if err != nil {
		return nil, entry{}, err
	}
	if off < to.offset+to.header || off >= to.offset+to.size {
		return nil, entry{}, fmt.Errorf("%w: a reference to %d, out of the unit at %d", ErrDamaged, off, to.offset)
	}
	b, err := to.bytes(off, min(maxEntry, to.offset+to.size-off))
	if err != nil {
		return nil, entry{}, err
	}
	c := cursor{b: b}
	a, ok := to.abbrevs.get(c.uleb())
	if !ok {
		return nil, entry{}, fmt.Errorf("%w: a reference to %d, where no entry is", ErrDamaged, off)
	}
	e, err := to.entry(&c, a)
	return to, e, err
}

// bytes returns a part of the unit, valid until more is read.
func (u *unit) bytes(off, n uint64) ([]byte, error) {
	if u.content != nil {
		return u.content[off-u.offset:][:n], nil
	}
	b, err := u.info.view(off, n)
	return bytes.Clone(b), err
}

// unitAround returns the unit that the offset in .debug_info lies in.
func (d *Debug) unitAround(off uint64) (*unit, error) {
	if d.index == nil && d.indexErr == nil {
		d.index, d.indexErr = d.readIndex()
	}
	if d.indexErr != nil {
		return nil, d.indexErr
	}
	start, ok := d.index.around(off)
	if !ok {
		return nil, fmt.Errorf("%w: a reference to %d, where no unit is", ErrDamaged, off)
	}
	if u, ok := d.units[start]; ok {
		return u, nil
	}
	u, err := d.readUnit(d.sections, start, nil)
	if err != nil {
		return nil, err
	}
	if len(d.units) >= maxKnown {
		clear(d.units)
	}
	d.units[start] = u
	return u, nil
}
