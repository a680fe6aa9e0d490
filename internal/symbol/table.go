// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

// table maps disjoint address ranges to names. A range costs 16 bytes and its name. Ranges
// of one function that an inner one splits share its name.
type table struct {
	starts  []uint64 // ascending
	lengths []uint32
	numbers []uint32 // of names
	names   names
}

// name returns the name of the range that holds addr.
func (t *table) name(addr uint64) (string, bool) {
	i := below(t.starts, addr)
	if i < 0 || addr-t.starts[i] >= uint64(t.lengths[i]) {
		return "", false
	}
	return t.names.at(t.numbers[i]), true
}

func (t *table) bytes() int {
	return 8*cap(t.starts) + 4*cap(t.lengths) + 4*cap(t.numbers) + t.names.bytes()
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
