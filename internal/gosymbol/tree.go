// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"encoding/binary"
	"math"
)

// tree is where the inline tree of a function is.
type tree struct {
	function int
	addr     uint64 // relative to GoFunc but in the first version
	calls    uint64
}

// readTrees reads all inline trees, or none if one of them cannot be right.
func (r *reader) readTrees() bool {
	if len(r.trees) == 0 {
		return true
	}
	if r.word != pointerSize && r.in.GoFunc == 0 {
		return false
	}
	low, high, calls := uint64(math.MaxUint64), uint64(0), uint64(0)
	for _, t := range r.trees {
		end := t.addr + t.calls*uint64(r.call)
		if t.addr == 0 && r.word == pointerSize || end < t.addr {
			return false
		}
		low, high, calls = min(low, t.addr), max(high, end), calls+t.calls
	}
	// Trees do not overlap, which also bounds what is allocated.
	if high-low > maxTable || calls*uint64(r.call) > high-low {
		return false
	}
	base := uint64(0)
	if r.word != pointerSize {
		base = r.in.GoFunc
	}
	b, ok := r.memory(base+low, high-low)
	if !ok {
		return false
	}
	out := make([]call, 0, calls)
	for _, t := range r.trees {
		r.table.funcs[t.function].tree = uint32(len(out))
		size := r.table.starts[t.function+1] - r.table.starts[t.function]
		at := b[t.addr-low:]
		for range t.calls {
			c := r.parseCall(at)
			if !r.plausible(c, size) {
				return false
			}
			out, at = append(out, c), at[r.call:]
		}
	}
	r.table.calls = out
	return true
}

// memory returns a part of the program's memory.
func (r *reader) memory(addr, n uint64) ([]byte, bool) {
	size := uint64(len(r.in.Table))
	if off := addr - r.in.Address; addr >= r.in.Address && off <= size && n <= size-off {
		return r.in.Table[off : off+n], true
	}
	if r.in.Memory == nil {
		return nil, false
	}
	b, ok := r.in.Memory(addr, n)
	return b, ok && uint64(len(b)) == n
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
func (r *reader) plausible(c call, size uint32) bool {
	names := r.table.names
	return uint64(c.name) < uint64(len(names)) && (c.name == 0 || names[c.name-1] == 0) &&
		c.parent >= -1 && int64(c.parent) < int64(size)
}
