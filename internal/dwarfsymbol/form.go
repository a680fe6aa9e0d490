// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import "fmt"

// fixedSize is the size of a form's value, -1 if it depends on the value.
func fixedSize(form uint64, word, addr int) int {
	switch form {
	case formFlagPresent, formImplicitConst:
		return 0
	case formData1, formRef1, formFlag, formStrx1, formAddrx1:
		return 1
	case formData2, formRef2, formStrx2, formAddrx2:
		return 2
	case formStrx3, formAddrx3:
		return 3
	case formData4, formRef4, formStrx4, formAddrx4, formRefSup4:
		return 4
	case formData8, formRef8, formRefSig8, formRefSup8:
		return 8
	case formData16:
		return 16
	case formAddr:
		return addr
	case formStrp, formLineStrp, formSecOffset, formStrpSup, formRefAddr, formGNURefAlt, formGNUStrpAlt:
		return word
	}
	return -1
}

// value is that of an attribute, not followed yet. A form of 0: there is none.
type value struct {
	form uint64
	n    uint64
	text []byte // of formString
}

func (v value) there() bool { return v.form != 0 }

// value reads the value of an attribute.
func (u *unit) value(c *cursor, a attr) (value, error) {
	v := value{form: a.form}
	if size := fixedSize(a.form, u.word, addressSize); size >= 0 {
		if a.form == formImplicitConst {
			v.n = uint64(a.implicit)
			return v, nil
		}
		for i, b := range c.take(uint64(size)) {
			v.n |= uint64(b) << (8 * (i & 7))
		}
		return v, nil
	}
	switch a.form {
	case formString:
		v.text = c.text()
	case formUdata, formRefUdata, formStrx, formAddrx, formRnglistx, formLoclistx, formGNUAddrIndex, formGNUStrIndex:
		v.n = c.uleb()
	case formSdata:
		v.n = uint64(c.sleb())
	case formBlock1:
		c.take(uint64(c.u8()))
	case formBlock2:
		c.take(uint64(c.u16()))
	case formBlock4:
		c.take(uint64(c.u32()))
	case formBlock, formExprloc:
		c.take(c.uleb())
	case formIndirect:
		form := c.uleb()
		if form == formIndirect || form == formImplicitConst {
			return v, fmt.Errorf("%w: form %#x of a form", ErrDamaged, form)
		}
		return u.value(c, attr{name: a.name, form: form})
	default:
		return v, fmt.Errorf("%w: form %#x", ErrUnsupported, a.form)
	}
	return v, nil
}

// text follows a value to the text that it stands for. It is valid until more is read.
func (u *unit) text(v value) ([]byte, error) {
	switch v.form {
	case 0:
		return nil, nil
	case formString:
		return v.text, nil
	case formStrp:
		return u.textOf(u.str, v.n)
	case formLineStrp:
		return u.textOf(u.debug.lineStr, v.n)
	case formStrx, formStrx1, formStrx2, formStrx3, formStrx4, formGNUStrIndex:
		if u.strOffsets == nil {
			return nil, fmt.Errorf("%w: a name by number, and no numbers", ErrDamaged)
		}
		off, err := u.strOffsets.number(u.strBase+v.n*uint64(u.word), u.word)
		if err != nil {
			return nil, err
		}
		return u.textOf(u.str, off)
	case formStrpSup, formGNUStrpAlt:
		alt, err := u.debug.supplement()
		if err != nil {
			return nil, err
		}
		return u.textOf(alt.str, v.n)
	}
	return nil, fmt.Errorf("%w: form %#x of a name", ErrDamaged, v.form)
}

func (u *unit) textOf(s *section, off uint64) ([]byte, error) {
	if s == nil {
		return nil, fmt.Errorf("%w: a name in a section that is not there", ErrDamaged)
	}
	return s.text(off)
}

// address follows a value to the address that it stands for.
func (u *unit) address(v value) (uint64, error) {
	switch v.form {
	case formAddr:
		return v.n, nil
	case formAddrx, formAddrx1, formAddrx2, formAddrx3, formAddrx4, formGNUAddrIndex:
		return u.indexed(v.n)
	}
	return 0, fmt.Errorf("%w: form %#x of an address", ErrDamaged, v.form)
}

// indexed is an address by its number.
func (u *unit) indexed(i uint64) (uint64, error) {
	s := u.debug.addr
	if u.skeleton != nil {
		s = u.skeleton.debug.addr
	}
	if s == nil {
		return 0, fmt.Errorf("%w: an address by number, and no numbers", ErrDamaged)
	}
	return s.number(u.addrBase+i*addressSize, addressSize)
}
