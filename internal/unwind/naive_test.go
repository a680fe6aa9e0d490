// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"debug/elf"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// naive is the state of a frame in words. It knows every register.
type naive struct {
	base    string // of the CFA, or all of it
	offset  int
	columns map[int]string
}

func (n naive) clone() naive {
	n.columns = maps.Clone(n.columns)
	return n
}

// naiveOp is an instruction: its bytes, how far it goes on, and what it does.
type naiveOp struct {
	code    []byte
	advance uint64
	apply   func(n, initial *naive, stack *[]naive)
}

// naiveAt executes the instructions of an FDE up to an address, from its start.
func naiveAt(initial naive, ops []naiveOp, start, addr uint64) naive {
	n, loc := initial.clone(), start
	var stack []naive
	for _, o := range ops {
		if loc += o.advance; loc > addr {
			break
		}
		if o.apply != nil {
			o.apply(&n, &initial, &stack)
		}
	}
	return n
}

// describe is what a Rule of amd64 says in the words of naive.
func describe(r Rule) string {
	if r.CFA == CFANoInfo {
		return "nothing"
	}
	place := func(p Place, offset int32) string {
		switch p {
		case Same:
			return "same"
		case AtCFA:
			return fmt.Sprintf("c%+d", offset)
		case AtSP:
			return fmt.Sprintf("*sp%+d", offset)
		case Undefined:
			return "undefined"
		}
		return "?"
	}
	fp, ra := place(r.FP, r.FPOffset), place(r.RA, r.RAOffset)
	switch r.CFA {
	case CFASP:
		return fmt.Sprintf("sp%+d %s %s", r.CFAOffset, fp, ra)
	case CFAFP:
		return fmt.Sprintf("fp%+d %s %s", r.CFAOffset, fp, ra)
	case CFADerefFP:
		return fmt.Sprintf("*fp%+d %s %s", r.CFAOffset, fp, ra)
	}
	return "? ? " + ra
}

func (n naive) String() string {
	column := func(i int) string {
		switch c := n.columns[i]; {
		case c == "" && i == 6:
			return "same"
		case c == "" || c == "same" && i == 16, c == "undefined" && i == 6:
			return "?"
		default:
			return c
		}
	}
	fp, ra := column(6), column(16)
	if n.base == "?" {
		if ra != "undefined" {
			ra = "?"
		}
		return "? ? " + ra
	}
	return fmt.Sprintf("%s%+d %s %s", n.base, n.offset, fp, ra)
}

var registerNames = map[int]string{7: "sp", 6: "fp"}

func nameOf(register int) string {
	if name, ok := registerNames[register]; ok {
		return name
	}
	return "?"
}

// randomOp is any instruction that is right after depth states were put aside.
func randomOp(r *rand.Rand, depth int) naiveOp {
	register := []int{6, 6, 7, 16, 3, 10}[r.IntN(6)]
	column := []int{6, 6, 16, 3}[r.IntN(4)]
	n := r.IntN(20)
	set := func(words string, code ...any) naiveOp {
		b := op(code[0].(byte), code[1:]...)
		return naiveOp{code: b, apply: func(n, _ *naive, _ *[]naive) { n.columns[column] = words }}
	}
	switch r.IntN(14) {
	case 0, 1, 2:
		d := r.IntN(5)
		return naiveOp{code: advance(byte(d)), advance: uint64(d)}
	case 3:
		return naiveOp{code: op(cfaAdvanceLoc2, []byte{byte(n), 0}), advance: uint64(n)}
	case 4:
		return naiveOp{code: op(cfaDefCFA, register, n), apply: func(s, _ *naive, _ *[]naive) { s.base, s.offset = nameOf(register), n }}
	case 5:
		return naiveOp{code: op(cfaDefCFARegister, register), apply: func(s, _ *naive, _ *[]naive) {
			if s.base == "*fp" {
				s.offset = 0 // what an expression leaves is not of interest
			}
			s.base = nameOf(register)
		}}
	case 6:
		return naiveOp{code: op(cfaDefCFASF, register, int64(-n)), apply: func(s, _ *naive, _ *[]naive) { s.base, s.offset = nameOf(register), 8*n }}
	case 7:
		return naiveOp{code: seq(op(cfaDefCFA, 7, 0), op(cfaDefCFAExpression, block(append(append([]byte{0x76}, sleb(int64(-n))...), opDeref)...))),
			apply: func(s, _ *naive, _ *[]naive) { s.base, s.offset = "*fp", -n }}
	case 8:
		return set(fmt.Sprintf("c%+d", -8*n), byte(cfaOffset<<6|column), n)
	case 9:
		return set(fmt.Sprintf("c%+d", 8*n), byte(cfaOffsetExtendedSF), column, int64(-n))
	case 10:
		words := []string{"undefined", "same", "?"}[n%3]
		return set(words, []byte{cfaUndefined, cfaSameValue, cfaValExpression}[n%3], column, [][]byte{nil, nil, block(0x77, 0)}[n%3])
	case 11:
		return set(fmt.Sprintf("*sp%+d", n), byte(cfaExpression), column, block(append([]byte{0x77}, sleb(int64(n))...)...))
	case 12:
		return naiveOp{code: op(byte(cfaRestore<<6 | column)), apply: func(s, initial *naive, _ *[]naive) { s.columns[column] = initial.columns[column] }}
	}
	if depth == 0 || n < 12 {
		return naiveOp{code: op(cfaRememberState), apply: func(s, _ *naive, stack *[]naive) { *stack = append(*stack, s.clone()) }}
	}
	return naiveOp{code: op(cfaRestoreState), apply: func(s, _ *naive, stack *[]naive) {
		last := len(*stack) - 1
		*s, *stack = (*stack)[last], (*stack)[:last]
	}}
}

// Find agrees with an interpreter that knows no rows.
func TestFindAgreesWithNaiveInterpreter(t *testing.T) {
	initial := naive{base: "sp", offset: 8, columns: map[int]string{16: "c-8"}}
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		f := frameBuilder{eh: true}
		e := f.cie(testCIE{})
		var functions [][]naiveOp
		const size, stride = 0x30, 0x38
		for i := range 8 {
			var ops []naiveOp
			var code []byte
			depth := 0
			for range r.IntN(40) {
				o := randomOp(r, depth)
				switch o.code[0] {
				case cfaRememberState:
					depth++
				case cfaRestoreState:
					depth--
				}
				ops, code = append(ops, o), append(code, o.code...)
			}
			functions = append(functions, ops)
			f.fde(e, absolute(uint64(i)*stride, size), code)
		}
		table := compile(t, elfBuilder{machine: elf.EM_X86_64, eh: f.data}.build())
		require.NoError(t, table.Cause)
		for i, ops := range functions {
			start := codeAddress + uint64(i)*stride
			for addr := start; addr < start+stride; addr++ {
				want := "nothing"
				if addr < start+size {
					want = naiveAt(initial, ops, start, addr).String()
				}
				rule, ok := table.Find(addr)
				require.Equal(t, want, describe(rule), "round %d, function %d, +%d", round, i, addr-start)
				require.Equal(t, want != "nothing", ok)
			}
		}
	}
}
