// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReferencesToASupplementaryFile in all forms, of which tools do not write all.
func TestReferencesToASupplementaryFile(t *testing.T) {
	uleb := func(n uint64) []byte { return binary.AppendUvarint(nil, n) }
	abbrevs := append([]byte{}, tinyAbbrevs[:len(tinyAbbrevs)-1]...)
	for i, to := range [][]byte{
		append([]byte{atAbstractOrigin}, uleb(formRefSup4)...),
		append([]byte{atAbstractOrigin}, uleb(formRefSup8)...),
		append([]byte{atAbstractOrigin}, uleb(formGNURefAlt)...),
		append([]byte{atName}, uleb(formStrpSup)...),
		append([]byte{atName}, uleb(formGNUStrpAlt)...),
	} {
		abbrevs = append(abbrevs, byte(10+i), tagSubprogram, 0, atLowPC, formAddr, atHighPC, formData4)
		abbrevs = append(append(abbrevs, to...), 0, 0)
	}
	p := tiny(
		entry1(10, 0x2100, 0x100, first), entry1(11, 0x2200, 0x100, first, 0), entry1(12, 0x2300, 0x100, first),
		entry1(13, 0x2400, 0x100, 1), entry1(14, 0x2500, 0x100, 1))
	p[1] = append(abbrevs, 0)
	supplement := tiny([]byte("\x04shared\x00"))
	supplement[2] = []byte("\x00shared\x00")

	d := p.debug()
	d.alt, d.altErr = supplement.debug(), nil
	x, err := d.Index()
	require.NoError(t, err)
	u, err := d.Unit(x, 0)
	require.NoError(t, err)
	for addr := uint64(0x2100); addr < 0x2600; addr += 0x100 {
		assert.Equal(t, []Frame{{Function: "shared"}}, u.Frames(addr, nil), "%#x", addr)
	}
}

// TestSupplementsThatHaveNothing: whatever file the link names, it is looked at once.
func TestSupplementsThatHaveNothing(t *testing.T) {
	abbrevs := append(tinyAbbrevs[:len(tinyAbbrevs)-1:len(tinyAbbrevs)-1],
		10, tagSubprogram, 0, atLowPC, formAddr, atHighPC, formData4, atAbstractOrigin)
	abbrevs = append(binary.AppendUvarint(abbrevs, formGNURefAlt), 0, 0, 0)
	p := tiny(entry1(10, 0x2100, 0x100, first))
	p[1] = abbrevs
	for name, without := range map[string]func(*Debug){
		"no units":         func(d *Debug) { d.info = nil },
		"no abbreviations": func(d *Debug) { d.abbrev = nil },
	} {
		d := p.debug()
		x, err := d.Index()
		require.NoError(t, err)
		d.alt, d.altErr = tiny([]byte("\x04shared\x00")).debug(), nil
		without(d.alt)
		_, err = d.Unit(x, 0)
		require.ErrorIs(t, err, ErrNone, name)
		require.ErrorIs(t, d.alt.indexErr, ErrNone, name)
	}

	// What references make it read is part of one piece of work.
	d := tiny([]byte("\x04shared\x00")).debug()
	d.left = 0
	_, err := d.unitAround(first)
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestLinksToASupplementaryFile(t *testing.T) {
	for name, c := range map[string]struct {
		alt, sup string
		want     Other
		wrong    bool
	}{
		"GNU":             {alt: "/d/common\x00\xab\xcd", want: Other{Path: "/d/common", BuildID: "abcd"}},
		"DWARF 5":         {sup: "\x05\x00\x00/d/common\x00\x02\xab\xcd", want: Other{Path: "/d/common", BuildID: "abcd"}},
		"a supplement":    {sup: "\x05\x00\x01\x00\x02\xab\xcd", wrong: true},
		"cut":             {sup: "\x05\x00\x00/d/common\x00\x7f\xab\xcd", wrong: true},
		"without a name":  {sup: "\x05\x00\x00\x00\x02\xab\xcd", wrong: true},
		"nothing":         {wrong: true},
		"without a zero":  {alt: "/d/common", wrong: true},
		"without a build": {alt: "/d/common\x00", want: Other{Path: "/d/common"}},
	} {
		got, err := parseLink([]byte(c.alt), []byte(c.sup))
		assert.Equal(t, c.want, got, name)
		assert.Equal(t, c.wrong, err != nil, name)
	}
}

func FuzzLink(f *testing.F) {
	f.Add([]byte("/d/common\x00\xab\xcd"), []byte("\x05\x00\x00/d/common\x00\x02\xab\xcd"))
	f.Fuzz(func(t *testing.T, alt, sup []byte) {
		got, err := parseLink(alt, sup)
		if err == nil && len(got.Path)+len(got.BuildID)/2 > len(alt)+len(sup) {
			t.Fatal(got)
		}
	})
}

// packageIndex is one of version 5 with one unit, which has 8 bytes at 4 of .debug_info.
func packageIndex(id uint64) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 5)
	for _, n := range []uint32{1, 1, 1} { // columns, units, slots
		b = le.AppendUint32(b, n)
	}
	b = le.AppendUint64(b, id)
	for _, n := range []uint32{1, columnInfo, 4, 8} { // row; column, offset, size
		b = le.AppendUint32(b, n)
	}
	return b
}

func packageOf(index []byte) *Debug {
	d := parts{make([]byte, 100), make([]byte, 100)}.debug()
	d.addr = &section{name: "index", size: uint64(len(index)), window: index}
	return d
}

func TestPackageIndex(t *testing.T) {
	s, ok, err := packageOf(packageIndex(7)).contribution(7)
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, [2]uint64{4, 8}, [2]uint64{s.info.from, s.info.size})

	// A full table in which every slot is another's has no end.
	le := binary.LittleEndian
	const slots = 1 << 20
	full := append(le.AppendUint32(nil, 5), make([]byte, 12)...)
	le.PutUint32(full[4:], 1)
	le.PutUint32(full[8:], 1)
	le.PutUint32(full[12:], slots)
	for i := range slots {
		full = le.AppendUint64(full, uint64(i)<<40|1<<39)
	}
	for range slots {
		full = le.AppendUint32(full, 1)
	}
	_, _, err = packageOf(full).contribution(7)
	assert.ErrorIs(t, err, ErrDamaged)
}

func FuzzPackageIndex(f *testing.F) {
	f.Add(packageIndex(7), uint64(7))
	f.Fuzz(func(t *testing.T, index []byte, id uint64) {
		s, ok, err := packageOf(index).contribution(id)
		if err == nil && ok && (s.info.size > 100 || s.abbrev.size > 100) {
			t.Fatal(s.info.size, s.abbrev.size)
		}
	})
}
