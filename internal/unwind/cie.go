// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"fmt"
)

// cie is what the functions of one common information entry share (DWARF 5
// section 6.4.1).
type cie struct {
	codeAlign uint64
	dataAlign int64
	ra        uint64 // the column of the return address
	encoding  byte   // of addresses in its FDEs
	sized     bool   // its FDEs have augmentation data, with its size
	signal    bool
	initial   row
	err       error // why it is of no use
}

// parse reads up to the instructions.
func (e *cie) parse(c *cursor) {
	version := c.u8()
	if c.err == nil && version != 1 && version != 3 && version != 4 {
		c.fail(fmt.Errorf("%w: CIE of version %d", ErrDamaged, version))
	}
	augmentation := c.text()
	if rest, ok := bytes.CutPrefix(augmentation, []byte("eh")); ok {
		augmentation = rest
		c.u64() // EH data of GCC before 3.0
	}
	if version == 4 {
		if address, segment := c.u8(), c.u8(); c.err == nil && (address != 8 || segment != 0) {
			c.fail(fmt.Errorf("%w: addresses of %d bytes, segments of %d", ErrDamaged, address, segment))
		}
	}
	e.codeAlign, e.dataAlign = c.uleb(), c.sleb()
	if version == 1 {
		e.ra = uint64(c.u8())
	} else {
		e.ra = c.uleb()
	}
	if len(augmentation) > 0 {
		e.augment(c, augmentation)
	}
}

// augment reads the augmentation data (LSB 5.0, Core, section 10.6.1.1).
func (e *cie) augment(c *cursor, letters []byte) {
	if letters[0] != 'z' {
		c.fail(fmt.Errorf("%w: augmentation %.8q", ErrDamaged, letters))
		return
	}
	e.sized = true
	size := c.uleb()
	data := cursor{data: c.data, at: c.at}
	c.take(size)
	data.data = c.data[:c.at]
	for _, letter := range letters[1:] {
		if !e.letter(&data, letter) {
			break // its size is known, so it can be skipped, as libgcc does
		}
	}
	if data.err != nil {
		c.fail(data.err)
	}
}

// letter reads what belongs to one letter of the augmentation.
func (e *cie) letter(c *cursor, letter byte) bool {
	switch letter {
	case 'R':
		e.encoding = c.u8()
		if rel := e.encoding & relMask; rel != relNone && rel != relPC {
			c.fail(fmt.Errorf("%w: pointer encoding %#x", ErrDamaged, e.encoding))
		}
	case 'P': // the personality, which is of no interest here
		if encoding := c.u8(); encoding&relMask == relAligned {
			c.fail(fmt.Errorf("%w: pointer encoding %#x", ErrDamaged, encoding))
		} else {
			c.value(encoding)
		}
	case 'L':
		c.u8()
	case 'S':
		e.signal = true
	case 'B', 'G': // the key of signed addresses, tagged memory: aadwarf64, 4.6
	default:
		return false
	}
	return true
}
