// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"math"
	"unsafe"
)

// Table holds the rules of a file. It is immutable, and safe for concurrent use.
type Table struct {
	// Arch is the architecture of the file.
	Arch Arch
	// Base is the ELF virtual address that the offsets of the rows count from.
	Base uint64
	// Rows are in ascending order of their offsets, which are unique. Each holds
	// up to the next one; the last one has the rule NoInfo. Neighbours have
	// different rules.
	Rows []Row
	// Rules has no duplicates. The first one is NoInfo.
	Rules []Rule

	// Functions is the number of descriptions (FDEs) of code of this file, without
	// the damaged ones.
	Functions int
	// Damaged is how many descriptions were left out because they were malformed
	// or exceeded a limit, and Cause what was wrong with the first one.
	Damaged int
	Cause   error
}

// Row is the start of a range of addresses with a rule.
type Row struct {
	// Offset is the first address, from the table's Base.
	Offset uint32
	// Rule is an index in the table's Rules.
	Rule uint16
}

// rowSize is what a Row takes in memory.
const rowSize = int(unsafe.Sizeof(Row{}))

// Find returns the rule for the instruction at addr, an ELF virtual address. A
// return address is behind the call: to find the rule of its frame, look one byte
// before it up, unless the frame it was found from is of a signal handler's
// return. It is false, with NoInfo, for an address that the file does not describe.
func (t *Table) Find(addr uint64) (Rule, bool) {
	if addr < t.Base || addr-t.Base > math.MaxUint32 {
		return NoInfo, false
	}
	offset := uint32(addr - t.Base)
	low, high := 0, len(t.Rows)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if t.Rows[mid].Offset <= offset {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == 0 {
		return NoInfo, false
	}
	rule := t.Rules[t.Rows[low-1].Rule]
	return rule, rule != NoInfo
}

// Bytes is the memory the Table holds.
func (t *Table) Bytes() int {
	return int(unsafe.Sizeof(*t)) + cap(t.Rows)*rowSize + cap(t.Rules)*ruleSize
}
