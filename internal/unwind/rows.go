// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"fmt"
	"math"
)

const (
	// maxRows bounds a table, to 128 MiB. libLLVM, of 129 MB, has 1.2 million.
	maxRows = 16 << 20
	// maxRules is what a Row can tell apart.
	maxRules = math.MaxUint16 + 1
)

// dictionary numbers rules.
type dictionary struct {
	rules   []Rule
	numbers map[Rule]uint16
	last    uint16 // neighbours are often alike
}

func newDictionary() dictionary {
	return dictionary{rules: []Rule{NoInfo}, numbers: map[Rule]uint16{NoInfo: 0}}
}

func (d *dictionary) number(r Rule) (uint16, error) {
	if d.rules[d.last] == r {
		return d.last, nil
	}
	n, ok := d.numbers[r]
	if !ok {
		if len(d.rules) == maxRules {
			return 0, fmt.Errorf("%w: more than %d different rules", ErrTooLarge, maxRules)
		}
		n = uint16(len(d.rules))
		d.rules = append(d.rules, r)
		d.numbers[r] = n
	}
	d.last = n
	return n, nil
}

// rows collects rows in ascending order.
type rows struct {
	*dictionary
	base uint64
	all  []Row
	end  uint64 // of what was described last
}

// gap says that nothing is known from the end of what was described up to start.
func (r *rows) gap(start uint64) {
	if start > r.end && len(r.all) > 0 {
		r.put(Row{Offset: uint32(r.end - r.base)})
	}
}

// add says which rule holds from addr on.
func (r *rows) add(addr uint64, rule Rule) error {
	n, err := r.number(rule)
	if err != nil {
		return err
	}
	if len(r.all) >= maxRows {
		return errRows
	}
	r.put(Row{uint32(addr - r.base), n})
	return nil
}

// put appends a row, unless it says what the last one does.
func (r *rows) put(row Row) {
	if n := len(r.all); n > 0 && r.all[n-1].Rule == row.Rule {
		return
	}
	r.all = append(r.all, row)
}

// overlay returns the rows of over, and where they know nothing those of under.
func overlay(over, under []Row) []Row {
	switch {
	case len(under) == 0:
		return over
	case len(over) == 0:
		return under
	}
	out := rows{all: make([]Row, 0, len(over)+len(under))}
	var top, bottom uint16
	for len(over) > 0 || len(under) > 0 {
		at := uint32(math.MaxUint32)
		for _, rows := range [][]Row{over, under} {
			if len(rows) > 0 {
				at = min(at, rows[0].Offset)
			}
		}
		if len(over) > 0 && over[0].Offset == at {
			top, over = over[0].Rule, over[1:]
		}
		if len(under) > 0 && under[0].Offset == at {
			bottom, under = under[0].Rule, under[1:]
		}
		rule := top
		if top == 0 {
			rule = bottom
		}
		out.put(Row{at, rule})
	}
	return out.all
}
