// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import "strings"

// table maps disjoint address ranges to names. A range costs 16 bytes, a name its
// length and one byte; neither holds a pointer for the garbage collector to
// follow. Ranges of one function that an inner one splits share its name.
type table struct {
	starts  []uint64 // ascending
	lengths []uint32
	names   []uint32 // offsets in text
	text    string   // names, each ended by a zero byte
}

// name returns the name of the range that holds addr.
func (t *table) name(addr uint64) (string, bool) {
	i := below(t.starts, addr)
	if i < 0 || addr-t.starts[i] >= uint64(t.lengths[i]) {
		return "", false
	}
	s := t.text[t.names[i]:]
	return s[:strings.IndexByte(s, 0)], true
}

func (t *table) bytes() int {
	return 8*cap(t.starts) + 4*cap(t.lengths) + 4*cap(t.names) + len(t.text)
}

// below returns the index of the last start that is not above addr, or -1. It is
// the hot loop of symbolization.
func below(starts []uint64, addr uint64) int {
	low, high := 0, len(starts)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if starts[mid] <= addr {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low - 1
}
