// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package threadlocal

import (
	"encoding/binary"
	"errors"
	"math"
)

// Place is where each thread of a process has its copy of a variable. The zero value is
// nowhere.
type Place struct {
	// Static: Offset counts from the thread pointer, else from the block of a module.
	Static bool
	Offset int32
	// Module is its number with the C library; 0: none.
	Module uint16
	// Musl: the C library is musl, else it is glibc.
	Musl bool
}

// Known reports whether it is anywhere.
func (p Place) Known() bool { return p.Static || p.Module != 0 }

// ErrUnresolved: the dynamic linker has not come to the variable yet, or wrote what is not
// understood.
var ErrUnresolved = errors.New("thread-local variable without a place yet")

// maxStatic is how far static blocks may go from the thread pointer, and less than the
// address of any descriptor: below are the first page and programs.
const maxStatic = 4 << 20

// Locate finds the place by what the dynamic linker wrote into a process: read reads its
// memory, bias is how far from the file's own addresses it is loaded, modulo 2^64.
func (v Variable) Locate(bias uint64, musl bool, read func(b []byte, address uint64) error) (Place, error) {
	if v.access == fixed {
		return v.static(v.value)
	}
	var words [2]uint64
	if err := readWords(words[:v.words()], bias+v.slot, read); err != nil {
		return Place{}, err
	}
	switch v.access {
	case offset:
		return v.static(int64(words[0]))
	case module:
		return dynamic(words[0], uint64(v.value), musl)
	}
	// The argument is the offset, or leads to the number of the module and the offset.
	if argument := int64(words[1]); argument < maxStatic {
		return v.static(argument)
	}
	if err := readWords(words[:], words[1], read); err != nil {
		return Place{}, err
	}
	return dynamic(words[0], words[1], musl)
}

// words is how many there are in the slot.
func (v Variable) words() int {
	if v.access == descriptor {
		return 2
	}
	return 1
}

func readWords(words []uint64, address uint64, read func([]byte, uint64) error) error {
	var b [16]byte
	if err := read(b[:8*len(words)], address); err != nil {
		return err
	}
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return nil
}

func (v Variable) static(offset int64) (Place, error) {
	if offset == 0 || (offset > 0) != v.above || offset < -maxStatic || offset >= maxStatic {
		return Place{}, ErrUnresolved
	}
	return Place{Static: true, Offset: int32(offset)}, nil
}

func dynamic(module, offset uint64, musl bool) (Place, error) {
	if module == 0 || module > math.MaxUint16 || offset > math.MaxInt32 {
		return Place{}, ErrUnresolved
	}
	return Place{Offset: int32(offset), Module: uint16(module), Musl: musl}, nil
}
