// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"fmt"
	"math"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/gosymbol"
)

// goTable finds the line table of a Go program. There is none in other files, and none
// where sections are damaged, as those who look for others say.
func goTable(f *elffile.File) *gosymbol.Input {
	sections, _ := f.Sections() // the line table can be found without
	in, err := gosymbol.Locate(f, sections)
	if err != nil {
		return nil
	}
	return &in
}

// goRows are the rows of Go functions on amd64, by the sizes of their frames. Their line
// table has those, in stripped programs too. What Go programs have of call frame
// information is made of the same sizes, and lacks what else is known: which functions
// have no caller, which change the stack, and where the frame pointer is.
func (b *builder) goRows(in *gosymbol.Input) ([]Row, error) {
	if in == nil || b.table.Arch != AMD64 {
		return nil, nil
	}
	const usual = 32 // bytes of the line table per row, at least
	out := rows{dictionary: &b.dictionary, base: b.table.Base, all: make([]Row, 0, in.Size/usual)}
	err := gosymbol.Spans(*in, func(s gosymbol.Span) error {
		if s.Start < max(out.base, out.end) || s.End-out.base > math.MaxUint32 {
			return fmt.Errorf("%w: Go code at %#x", ErrDamaged, s.Start)
		}
		out.gap(s.Start)
		out.end = s.End
		return out.add(s.Start, goRule(s))
	})
	if err != nil {
		return nil, fmt.Errorf("frames of Go: %w", err)
	}
	out.gap(math.MaxUint64)
	return out.all, nil
}

// goRule is the rule of a frame of Go code. A function with a frame pushes the frame
// pointer first (cmd/internal/obj/x86/obj6.go, preprocess, Go 1.21 to 1.26). Where the
// stack is changed the frame pointer leads to the old one (runtime/asm_amd64.s,
// systemstack, asmcgocall and cgocallback).
func goRule(s gosymbol.Span) Rule {
	const word = 8
	r := Rule{CFA: CFASP, CFAOffset: s.Size + word, RA: AtCFA, RAOffset: -word, FP: AtCFA, FPOffset: -2 * word}
	switch {
	case s.Top:
		return Rule{CFA: CFAUnsupported, RA: Undefined}
	case s.Moves:
		r.CFA, r.CFAOffset, r.Switch = CFAFP, 2*word, true
	case s.Size < word:
		r.FP, r.FPOffset = Same, 0
	case s.Size > math.MaxInt32-word:
		return NoInfo
	}
	return r
}
