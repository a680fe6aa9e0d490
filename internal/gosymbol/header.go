// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"encoding/binary"
	"fmt"
	"math"
)

// layout is what differs between versions.
type layout struct {
	// word is the size of addresses and offsets in the table of functions. If it
	// is 8, addresses are absolute and function data are pointers.
	word int
	// offsets is where in the header the offsets of the five parts begin.
	offsets int
	// record is the size of a function's record without its lists, startLine where
	// the start line is in it. Fields up to the start line are the same but for
	// the size of the address that they begin with.
	record, startLine int
	// call is the size of an inlined call, then where its fields are in it.
	call, callName, callParent, callStartLine int
	// goFunc is which word of the module description is the address of go:func.*.
	goFunc int
}

// layouts has the layout of each magic number: internal/abi/symtab.go, Go 1.26;
// records from runtime/runtime2.go, calls from runtime/symtabinl.go (before 1.21
// runtime/symtab.go), module descriptions from runtime/symtab.go, Go 1.16 to 1.26.
// A field that is not there is 0.
var layouts = map[uint32]layout{
	0xfffffffa: {word: 8, offsets: 24, record: 44, call: 20, callName: 12, callParent: 16},
	0xfffffff0: {word: 4, offsets: 32, record: 40, call: 20, callName: 12, callParent: 16, goFunc: 38},
	0xfffffff1: {word: 4, offsets: 32, record: 44, startLine: 36,
		call: 16, callName: 4, callParent: 8, callStartLine: 12, goFunc: 40},
}

const (
	// headerSize is that of the longest header.
	headerSize = 72
	// pointerSize is the only one that is read.
	pointerSize = 8
	// Which of a function's lists are about inlined calls.
	pcInlined, dataInlineTree = 2, 3
	// noData marks function data that are not there.
	noData = math.MaxUint32
)

// header is the beginning of a line table, checked.
type header struct {
	layout
	quantum uint32
	funcs   uint64 // number of functions
	text    uint64 // 0 if it is not there
	// parts are the offsets of names, units, files, pc tables and functions,
	// ascending and within the table.
	parts [5]uint64
}

// parseHeader reads the header of the line table that b begins with; size is the
// most that the table can have.
func parseHeader(b []byte, size uint64) (header, error) {
	var h header
	if len(b) < headerSize || size < headerSize {
		return h, fmt.Errorf("%w: %d bytes", ErrDamaged, len(b))
	}
	le := binary.LittleEndian
	magic := le.Uint32(b)
	var ok bool
	if h.layout, ok = layouts[magic]; !ok {
		return h, fmt.Errorf("%w: it starts with %#x", ErrVersion, magic)
	}
	if b[7] != pointerSize {
		return h, fmt.Errorf("%w: pointers of %d bytes", ErrVersion, b[7])
	}
	h.quantum = uint32(b[6])
	if b[4] != 0 || b[5] != 0 || h.quantum != 1 && h.quantum != 2 && h.quantum != 4 {
		return h, fmt.Errorf("%w: header %x", ErrDamaged, b[:8])
	}
	h.funcs = le.Uint64(b[8:])
	if h.word == 4 {
		h.text = le.Uint64(b[24:])
	}
	last := uint64(h.offsets) + 5*pointerSize
	for i := range h.parts {
		h.parts[i] = le.Uint64(b[h.offsets+i*pointerSize:])
		if h.parts[i] < last || h.parts[i] > size {
			return h, fmt.Errorf("%w: part %d at %d of %d bytes", ErrDamaged, i, h.parts[i], size)
		}
		last = h.parts[i]
	}
	index := size - last
	if h.funcs == 0 || h.funcs > index/uint64(2*h.word) || (2*h.funcs+1)*uint64(h.word) > index {
		return h, fmt.Errorf("%w: %d functions in %d bytes", ErrDamaged, h.funcs, index)
	}
	return h, nil
}
