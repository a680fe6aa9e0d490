// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unsafe"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/interval"
)

// maxFrames bounds the frames of an address.
const maxFrames = 128

// Unit names the addresses of a compilation unit. It is immutable, and safe for
// concurrent use. A line costs 12 bytes, a range of a function or inlined call 8, a
// function or call 16, a name its length and one byte.
type Unit struct {
	base   uint64   // address that starts are relative to
	starts []uint32 // ascending
	ranges []int32  // index in scopes, -1 for none
	scopes []scope
	lines  []line // ascending
	text   string // each ended by a zero byte
}

// scope is a function, or a call that was inlined.
type scope struct {
	name   uint32 // offset in text
	parent int32  // index of the scope it was inlined into, which is smaller, -1 for a function
	file   uint32 // where it was called
	line   uint32
}

type line struct {
	start, file, line uint32
}

// Frame is a function at one place of its source.
type Frame struct {
	// Function is the name that the linker knows it by, or else the one in the source,
	// empty if it is not known.
	Function string
	// File is a path as the compiler saw it, empty if it is not known. Line is 0 if it
	// is not known, or the compiler made the code up.
	File string
	Line int
}

// finish makes the unit's table.
func (b *builder) finish() *Unit {
	slices.SortFunc(b.spans, func(x, y span) int {
		return cmp.Or(cmp.Compare(x.start, y.start), cmp.Compare(x.depth, y.depth), cmp.Compare(y.end, x.end))
	})
	u := &Unit{base: math.MaxUint64, scopes: slices.Clip(b.scopes), text: string(b.text.bytes)}
	if len(b.spans) > 0 {
		u.base = b.spans[0].start
	}
	if len(b.rows) > 0 {
		u.base = min(u.base, b.rows[0].addr)
	}
	covered := uint64(0)
	at := func(i int) (start, end uint64) { return b.spans[i].start, b.spans[i].end }
	interval.Flatten(len(b.spans), at, func(start, end uint64, i int) {
		if start > covered {
			u.add(covered, -1)
		}
		u.add(start, b.spans[i].scope)
		covered = end
	})
	u.add(covered, -1)
	for _, r := range b.rows {
		if off := r.addr - u.base; off <= math.MaxUint32 {
			u.lines = append(u.lines, line{uint32(off), r.file, r.line})
		}
	}
	u.starts, u.ranges, u.lines = slices.Clip(u.starts), slices.Clip(u.ranges), slices.Clip(u.lines)
	return u
}

// add begins a range.
func (u *Unit) add(start uint64, scope int32) {
	off := start - u.base
	if start < u.base || off > math.MaxUint32 {
		return
	}
	if n := len(u.ranges); n > 0 && u.ranges[n-1] == scope || n == 0 && scope < 0 {
		return
	}
	u.starts, u.ranges = append(u.starts, uint32(off)), append(u.ranges, scope)
}

// Frames appends to out what addr is: the inlined calls, innermost first, then the
// function whose machine code it is. It appends nothing if nothing is known, and one
// frame without function if only the line is. It allocates only to make out longer.
//
// The address is that of an instruction as the file has it. For the caller of another
// frame that is the call, so the return address less one.
//
// The strings of frames are parts of the Unit's memory, which they keep alive.
func (u *Unit) Frames(addr uint64, out []Frame) []Frame {
	off := addr - u.base
	if addr < u.base || off > math.MaxUint32 {
		return out
	}
	file, number := u.position(uint32(off))
	s := int32(-1)
	if i := below(u.starts, uint32(off)); i >= 0 {
		s = u.ranges[i]
	}
	if s < 0 && file != "" {
		return append(out, Frame{File: file, Line: number})
	}
	for n := 0; s >= 0 && n < maxFrames; n++ {
		of := &u.scopes[s]
		out = append(out, Frame{Function: u.at(of.name), File: file, Line: number})
		file, number = u.at(of.file), int(of.line)
		s = of.parent
	}
	return out
}

// position is the place in the source.
func (u *Unit) position(off uint32) (file string, number int) {
	i, found := slices.BinarySearchFunc(u.lines, off, func(l line, off uint32) int { return cmp.Compare(l.start, off) })
	if !found {
		i--
	}
	if i < 0 {
		return "", 0
	}
	return u.at(u.lines[i].file), int(u.lines[i].line)
}

// at is the text at an offset.
func (u *Unit) at(off uint32) string {
	s := u.text[off:]
	return s[:strings.IndexByte(s, 0)]
}

// below returns the index of the last start that is not above off, or -1.
func below(starts []uint32, off uint32) int {
	i, found := slices.BinarySearch(starts, off)
	if !found {
		i--
	}
	return i
}

// Bytes is the memory the Unit holds.
func (u *Unit) Bytes() int {
	return int(unsafe.Sizeof(*u)) + 4*cap(u.starts) + 4*cap(u.ranges) + cap(u.scopes)*int(unsafe.Sizeof(scope{})) +
		cap(u.lines)*int(unsafe.Sizeof(line{})) + len(u.text)
}
