// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"encoding/binary"
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// tree is where the inline tree of a function is.
type tree struct {
	function int
	addr     uint64 // relative to GoFunc but in the first version
	calls    uint64
}

// readTrees reads all inline trees, or none if one of them cannot be right.
func (b *builder) readTrees() (ok bool, err error) {
	base, calls := uint64(0), uint64(0)
	if b.word != pointerSize {
		base = b.in.GoFunc
	}
	for _, t := range b.trees {
		calls += t.calls
		if base+t.addr == 0 || b.word != pointerSize && base == 0 || b.spend(int(t.calls)*b.call) != nil {
			return false, nil
		}
	}
	var buf []byte
	out := make([]call, 0, calls)
	for _, t := range b.trees {
		buf = slices.Grow(buf[:0], int(t.calls)*b.call)[:int(t.calls)*b.call]
		if !b.memory(base+t.addr, buf) {
			return false, nil
		}
		b.table.funcs[t.function].tree = uint32(len(out))
		size := b.table.starts[t.function+1] - b.table.starts[t.function]
		for at := buf; len(at) > 0; at = at[b.call:] {
			c := b.parseCall(at)
			ok, err := b.plausible(c, size)
			if !ok || err != nil {
				return false, err
			}
			if c.name, err = b.name(&b.reader.names, uint64(c.name)); err != nil {
				return false, err
			}
			out = append(out, c)
		}
	}
	b.table.calls = out
	return true, nil
}

// memory fills a buffer with a part of the program's memory.
func (r *reader) memory(addr uint64, to []byte) bool {
	n := uint64(len(to))
	if off := addr - r.in.Address; addr >= r.in.Address && off <= r.in.Size && n <= r.in.Size-off {
		return elffile.ReadFull(r.in.Table, to, int64(off)) == nil
	}
	return r.in.Memory != nil && r.in.Memory(addr, to)
}

func (r *reader) parseCall(b []byte) call {
	le := binary.LittleEndian
	c := call{name: le.Uint32(b[r.callName:]), parent: int32(le.Uint32(b[r.callParent:]))}
	if r.callStartLine != 0 {
		c.startLine = int32(le.Uint32(b[r.callStartLine:]))
	}
	return c
}

// plausible says whether c can be a call in a function of size bytes: its name
// is one, not the end of one, and its parent is in the function. The compiler
// leaves -1 in calls of which no instruction was left.
func (r *reader) plausible(c call, size uint32) (bool, error) {
	if uint64(c.name) >= r.names.size || c.parent < -1 || int64(c.parent) >= int64(size) {
		return false, nil
	}
	if c.name == 0 {
		return true, nil
	}
	b, err := r.names.view(uint64(c.name)-1, 1)
	return err == nil && b[0] == 0, err
}
