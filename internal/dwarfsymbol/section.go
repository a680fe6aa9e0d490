// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package dwarfsymbol

import (
	"bytes"
	"fmt"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

const (
	// windowSize is how much of a section is read at once.
	windowSize = 64 << 10
	// fillCost is what a read of a window takes of the budget, which bounds a piece of work to
	// four million of them. Units of large Rust crates read three per KiB of their entries.
	fillCost = 128
	// maxText cuts longer names.
	maxText = 8 << 10
)

// section is a section of debug information, of which a part is in memory, or all if
// it is compressed. A part of one can stand for the whole (DWARF packages).
type section struct {
	name   string
	debug  *Debug // whose budget it is
	header elffile.Section
	// from and size are the part.
	from, size uint64
	// window are the bytes at in the section.
	window []byte
	at     uint64
	// unpack returns the whole section, if it is compressed and was not needed yet.
	unpack func() ([]byte, error)
}

// view returns n bytes at off, which are valid until the next call.
func (s *section) view(off, n uint64) ([]byte, error) {
	if off > s.size || n > s.size-off {
		return nil, fmt.Errorf("%w: %d bytes at %d of the %d of %s", ErrDamaged, n, off, s.size, s.name)
	}
	off += s.from
	if off < s.at || off+n > s.at+uint64(len(s.window)) {
		if err := s.fill(off, n); err != nil {
			return nil, err
		}
	}
	return s.window[off-s.at:][:n], nil
}

// fill reads the part of the section around off that holds n bytes.
func (s *section) fill(off, n uint64) (err error) {
	if s.unpack != nil {
		s.window, err = s.unpack()
		s.unpack = nil
		if err == nil && uint64(len(s.window)) != s.size {
			err = fmt.Errorf("%w: size of %s", ErrDamaged, s.name)
		}
		if err != nil {
			s.size = 0 // nothing of it can be read
		}
		return err
	}
	if err := s.debug.spend(fillCost); err != nil {
		return err
	}
	start := off &^ (windowSize/4 - 1)
	size := min(max(windowSize, off-start+n), s.header.Size-start)
	if uint64(cap(s.window)) < size || uint64(cap(s.window)) > 4*windowSize {
		s.window = make([]byte, size)
	}
	s.window, s.at = s.window[:size], start
	err = s.debug.img.Fill(s.name, s.window, s.header.Offset+start)
	if err != nil {
		s.window = nil
	}
	return err
}

// rest returns what follows off, at most n bytes.
func (s *section) rest(off, n uint64) ([]byte, error) {
	return s.view(off, min(n, s.size-min(off, s.size)))
}

// copy returns n bytes at off that stay.
func (s *section) copy(off, n uint64) ([]byte, error) {
	if off > s.size || n > s.size-off {
		return nil, fmt.Errorf("%w: %d bytes at %d of the %d of %s", ErrDamaged, n, off, s.size, s.name)
	}
	if s.unpack != nil {
		if err := s.fill(off, n); err != nil {
			return nil, err
		}
	}
	if at := s.from + off; at >= s.at && at+n <= s.at+uint64(len(s.window)) {
		return bytes.Clone(s.window[at-s.at:][:n]), nil
	}
	return s.debug.img.Read(s.name, s.header.Offset+s.from+off, n)
}

// text returns the string at off, up to its zero byte.
func (s *section) text(off uint64) ([]byte, error) {
	for n := uint64(256); ; n *= 8 {
		b, err := s.rest(off, min(n, maxText))
		if err != nil {
			return nil, err
		}
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return b[:i], nil
		}
		if n >= maxText || uint64(len(b)) < n {
			return b, nil
		}
	}
}

// number reads a number of 1 to 8 bytes.
func (s *section) number(off uint64, size int) (uint64, error) {
	b, err := s.view(off, uint64(size))
	v := uint64(0)
	for i := range b {
		v |= uint64(b[i]) << (8 * i)
	}
	return v, err
}

// part returns a part of the section.
func (s *section) part(from, size uint64) (*section, error) {
	if from > s.size || size > s.size-from {
		return nil, fmt.Errorf("%w: %d bytes at %d of the %d of %s", ErrDamaged, size, from, s.size, s.name)
	}
	if s.unpack != nil {
		if err := s.fill(from, size); err != nil {
			return nil, err
		}
	}
	out := *s
	out.from, out.size = s.from+from, size
	if s.debug != nil {
		out.window = nil // filled by each for itself
	}
	return &out, nil
}
