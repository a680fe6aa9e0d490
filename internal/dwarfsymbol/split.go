// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// maxAltLink bounds .gnu_debugaltlink, a path and a build ID.
const maxAltLink = 8 << 10

// supplement returns the file that this one shares parts with others in (DWARF 5,
// 7.3.6; dwz).
func (d *Debug) supplement() (*Debug, error) {
	if d.alt == nil && d.altErr == nil {
		d.alt, d.altErr = d.openSupplement()
	}
	return d.alt, d.altErr
}

func (d *Debug) openSupplement() (*Debug, error) {
	other, err := d.altLink()
	if err != nil {
		return nil, err
	}
	r, size := d.open(other)
	if r == nil {
		return nil, fmt.Errorf("%w: %s", ErrElsewhere, other.Path)
	}
	img, sections, err := openELF(r, size)
	if err != nil {
		return nil, err
	}
	return openSections(img, sections, "", nil)
}

// altLink says which file that is.
func (d *Debug) altLink() (Other, error) {
	sections, err := d.img.Sections()
	if err != nil {
		return Other{}, err
	}
	found, err := d.img.Named(sections, ".gnu_debugaltlink", ".debug_sup")
	if err != nil {
		return Other{}, err
	}
	alt, err := d.img.Content(".gnu_debugaltlink", found[0], maxAltLink)
	if err != nil {
		return Other{}, err
	}
	sup, err := d.img.Content(".debug_sup", found[1], maxAltLink)
	if err != nil {
		return Other{}, err
	}
	return parseLink(alt, sup)
}

// parseLink reads the sections that name a supplementary file: that of GNU, a path and a
// build ID, or that of DWARF 5.
func parseLink(alt, sup []byte) (Other, error) {
	if name, id, ok := bytes.Cut(alt, []byte{0}); ok {
		return Other{Path: string(name), BuildID: hex.EncodeToString(id)}, nil
	}
	c := cursor{b: sup}
	c.u16() // version
	if c.u8() != 0 {
		return Other{}, fmt.Errorf("%w: a supplementary file has no other", ErrDamaged)
	}
	name := c.text()
	id := c.take(c.uleb())
	if c.short || len(name) == 0 {
		return Other{}, fmt.Errorf("%w: no supplementary file is named", ErrDamaged)
	}
	return Other{Path: string(name), BuildID: hex.EncodeToString(id)}, nil
}

func openELF(r io.ReaderAt, size int64) (*elffile.File, []elffile.Section, error) {
	img, err := elffile.Open(r, size)
	if err != nil {
		return nil, nil, err
	}
	sections, err := img.Sections()
	return img, sections, err
}

// split returns the unit that was split from a skeleton: from the package, or from a
// file of its own.
func (d *Debug) split(skeleton *unit) (*unit, error) {
	if u, err := d.packaged(skeleton); u != nil || err != nil {
		return u, err
	}
	name, err := skeleton.text(skeleton.dwoName)
	if err != nil {
		return nil, err
	}
	where := string(name)
	if !path.IsAbs(where) {
		dir, err := skeleton.text(skeleton.dir)
		if err != nil {
			return nil, err
		}
		where = join(string(dir), where)
	}
	r, size := d.open(Other{Path: where})
	if r == nil {
		return nil, fmt.Errorf("%w: %s", ErrElsewhere, where)
	}
	img, sections, err := openELF(r, size)
	if err != nil {
		return nil, err
	}
	dwo, err := openSections(img, sections, ".dwo", nil)
	if err != nil {
		return nil, err
	}
	if dwo.info == nil || dwo.abbrev == nil {
		return nil, ErrNone
	}
	return dwo.findIn(sections, skeleton)
}

// findIn returns the unit of the skeleton in a file of split ones, where those of types may
// be in sections of their own.
func (d *Debug) findIn(all []elffile.Section, skeleton *unit) (u *unit, err error) {
	found, err := d.img.Every(all, d.info.name)
	for _, header := range found {
		if d.info, err = d.section(d.info.name, header); err != nil {
			return nil, err
		}
		if d.info == nil {
			break
		}
		if u, err = d.find(d.sections, skeleton); !errors.Is(err, ErrElsewhere) {
			return u, err
		}
	}
	return nil, errors.Join(err, ErrElsewhere)
}

// maxSplit bounds the units of a file of split ones: one, and those of types.
const maxSplit = 64 << 10

// find returns the unit of the skeleton among those of s.
func (d *Debug) find(s sections, skeleton *unit) (*unit, error) {
	for off := uint64(0); off < s.info.size; {
		if d.looked++; d.looked > maxSplit {
			return nil, fmt.Errorf("%w: more than %d units were split off", ErrTooLarge, maxSplit)
		}
		u, err := d.readUnit(s, off, skeleton)
		if u == nil {
			return nil, err
		}
		if err == nil && u.id == skeleton.id && u.kind != unitType && u.kind != unitSplitType {
			return u, nil
		}
		off += u.size
	}
	return nil, fmt.Errorf("%w: the file holds another unit", ErrElsewhere)
}

// Columns of the index of a package (DWARF 5, 7.3.5.3, and version 2 of GNU).
const (
	columnInfo       = 1
	columnAbbrev     = 3
	columnStrOffsets = 6
	columnRnglists   = 8

	maxColumns = 16
	// maxProbes bounds a look into the hash table, of which a third is empty.
	maxProbes = 1024
)

// packaged returns the unit of the skeleton in the DWARF package, nil if there is none.
func (d *Debug) packaged(skeleton *unit) (*unit, error) {
	if !d.packOpened {
		d.packOpened = true
		if err := d.openPackage(); err != nil {
			return nil, err
		}
	}
	if d.pack == nil {
		return nil, nil
	}
	s, ok, err := d.pack.contribution(skeleton.id)
	if !ok || err != nil {
		return nil, err
	}
	return d.pack.find(s, skeleton)
}

func (d *Debug) openPackage() error {
	r, size := d.open(Other{Package: true})
	if r == nil {
		return nil
	}
	img, sections, err := openELF(r, size)
	if err != nil {
		return err
	}
	pack, err := openSections(img, sections, ".dwo", nil)
	if err != nil {
		return err
	}
	found, err := img.Named(sections, ".debug_cu_index")
	if err != nil {
		return err
	}
	// It takes the place of addresses, which packages do not have.
	if pack.addr, err = pack.section(".debug_cu_index", found[0]); err != nil || pack.addr == nil {
		return err
	}
	if pack.info != nil && pack.abbrev != nil {
		d.pack = pack
	}
	return nil
}

// contribution returns the parts of the sections of a package that a unit has.
func (d *Debug) contribution(id uint64) (s sections, ok bool, err error) {
	index := d.addr
	head, err := index.view(0, 16)
	if err != nil {
		return s, false, err
	}
	c := cursor{b: head}
	version := c.u32()
	columns, units, slots := uint64(c.u32()), uint64(c.u32()), uint64(c.u32())
	if version&0xffff != 2 && version&0xffff != 5 || columns > maxColumns || slots&(slots-1) != 0 {
		return s, false, fmt.Errorf("%w: index of a package", ErrUnsupported)
	}
	row, err := d.slot(id, slots)
	if row == 0 || err != nil {
		return s, false, err
	}
	if row > units {
		return s, false, fmt.Errorf("%w: row %d of %d in a package", ErrDamaged, row, units)
	}
	s = d.sections
	ids := 16 + 12*slots
	for i := range columns {
		column, err := index.number(ids+4*i, 4)
		if err != nil {
			return s, false, err
		}
		off, err := index.number(ids+4*(row*columns+i), 4)
		if err != nil {
			return s, false, err
		}
		size, err := index.number(ids+4*((units+row)*columns+i), 4)
		if err != nil {
			return s, false, err
		}
		if err := s.narrow(column, off, size); err != nil {
			return s, false, err
		}
	}
	return s, true, nil
}

// slot looks a unit up in the hash table of the index, 0 if it is not there.
func (d *Debug) slot(id, slots uint64) (row uint64, err error) {
	mask := slots - 1
	step := id>>32&mask | 1
	for i, at := uint64(0), id&mask; i < min(slots, maxProbes); i, at = i+1, (at+step)&mask {
		key, err := d.addr.number(16+8*at, 8)
		if err != nil {
			return 0, err
		}
		row, err := d.addr.number(16+8*slots+4*at, 4)
		if err != nil || row == 0 || key == id {
			return row, err
		}
	}
	if slots > maxProbes {
		return 0, fmt.Errorf("%w: index of a package is full", ErrDamaged)
	}
	return 0, nil
}

// narrow replaces a section by a part of it.
func (s *sections) narrow(column, off, size uint64) (err error) {
	var target **section
	switch column {
	case columnInfo:
		target = &s.info
	case columnAbbrev:
		target = &s.abbrev
	case columnStrOffsets:
		target = &s.strOffsets
	case columnRnglists:
		target = &s.rnglists
	default:
		return nil
	}
	if *target != nil {
		*target, err = (*target).part(off, size)
	}
	return err
}
