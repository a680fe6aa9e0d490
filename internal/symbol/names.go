// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import "encoding/binary"

// wholeEvery is how many names there are from one that is stored as a whole to the next.
const wholeEvery = 16

// names are strings by number. Each is stored as what it does not have in common with the
// beginning of the one before, as neighbours in a file are often of one class, package or
// crate: that takes a half to a third. None holds a pointer for the garbage collector to
// follow.
type names struct {
	text string
	// wholes are where in the text those begin that are stored as a whole.
	wholes []uint32
}

// at returns a name.
func (n *names) at(number uint32) string {
	var room [256]byte
	name, rest := room[:0], n.text[n.wholes[number/wholeEvery]:]
	for range number%wholeEvery + 1 {
		common, a := uvarint(rest)
		size, b := uvarint(rest[a:])
		rest = rest[a+b:]
		name = append(name[:common], rest[:size]...)
		rest = rest[size:]
	}
	return string(name)
}

// uvarint is binary.Uvarint of a string that was made here.
func uvarint(s string) (v uint64, n int) {
	for shift := 0; ; shift += 7 {
		c := s[n]
		n++
		if v |= uint64(c&0x7f) << shift; c < 0x80 {
			return v, n
		}
	}
}

func (n *names) bytes() int { return len(n.text) + 4*cap(n.wholes) }

// nameWriter collects names.
type nameWriter struct {
	text   []byte
	wholes []uint32
	last   []byte
	count  uint32
}

// add returns the number of the next name.
func (w *nameWriter) add(name []byte) uint32 {
	common := 0
	if w.count%wholeEvery == 0 {
		w.wholes = append(w.wholes, uint32(len(w.text)))
	} else {
		for common < min(len(name), len(w.last)) && name[common] == w.last[common] {
			common++
		}
	}
	w.text = binary.AppendUvarint(w.text, uint64(common))
	w.text = binary.AppendUvarint(w.text, uint64(len(name)-common))
	w.text = append(w.text, name[common:]...)
	w.last = append(w.last[:0], name...)
	w.count++
	return w.count - 1
}

// names returns all, without room to grow.
func (w *nameWriter) names() names {
	return names{text: string(w.text), wholes: append([]uint32(nil), w.wholes...)}
}
