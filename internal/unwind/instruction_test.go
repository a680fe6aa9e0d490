// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"debug/elf"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testRow is a row with its rule, by the offset from codeAddress.
type testRow struct {
	offset uint64
	rule   Rule
}

// rowsOf resolves the rows of a table.
func rowsOf(table *Table) []testRow {
	var out []testRow
	for _, row := range table.Rows {
		out = append(out, testRow{table.Base + uint64(row.Offset) - codeAddress, table.Rules[row.Rule]})
	}
	return out
}

// frame is a rule of amd64, with the return address where it always is.
func frame(cfa CFA, offset int32) Rule {
	return Rule{CFA: cfa, CFAOffset: offset, FP: Same, RA: AtCFA, RAOffset: -8}
}

func (r Rule) fp(p Place, offset int32) Rule {
	r.FP, r.FPOffset = p, offset
	return r
}

func (r Rule) ra(p Place, offset int32) Rule {
	r.RA, r.RAOffset = p, offset
	return r
}

// link is a rule of arm64, before anything is saved.
func link(offset int32) Rule { return Rule{CFA: CFASP, CFAOffset: offset, FP: Same, RA: InLR} }

var (
	usual = frame(CFASP, 8)
	lost  = Rule{CFA: CFAUnsupported}

	armCIE = testCIE{codeAlign: 4, ra: 30, code: op(cfaDefCFA, 31, 0)}
)

// oneFunction compiles an FDE of 64 bytes.
func oneFunction(t *testing.T, machine elf.Machine, c testCIE, code []byte) *Table {
	t.Helper()
	f := frameBuilder{eh: true}
	f.fde(f.cie(c), absolute(0, 0x40), code)
	return compile(t, elfBuilder{machine: machine, eh: f.data}.build())
}

func TestInstructions(t *testing.T) {
	for name, c := range map[string]struct {
		code []byte
		want []testRow // the last one, of the end, is added
	}{
		"nothing":                      {nil, []testRow{{0, usual}}},
		"nop":                          {op(cfaNop), []testRow{{0, usual}}},
		"advance_loc":                  {seq(advance(5), op(cfaDefCFAOffset, 16)), []testRow{{0, usual}, {5, frame(CFASP, 16)}}},
		"advance_loc1":                 {seq(op(cfaAdvanceLoc1, []byte{0x30}), op(cfaDefCFAOffset, 16)), []testRow{{0, usual}, {0x30, frame(CFASP, 16)}}},
		"advance_loc2":                 {seq(op(cfaAdvanceLoc2, []byte{7, 0}), op(cfaDefCFAOffset, 16)), []testRow{{0, usual}, {7, frame(CFASP, 16)}}},
		"advance_loc4":                 {seq(op(cfaAdvanceLoc4, []byte{7, 0, 0, 0}), op(cfaDefCFAOffset, 16)), []testRow{{0, usual}, {7, frame(CFASP, 16)}}},
		"set_loc":                      {seq(op(cfaSetLoc, encode(uint64(codeAddress+9))), op(cfaDefCFAOffset, 16)), []testRow{{0, usual}, {9, frame(CFASP, 16)}}},
		"advance by zero":              {seq(op(cfaDefCFAOffset, 24), advance(0), op(cfaDefCFAOffset, 16)), []testRow{{0, frame(CFASP, 16)}}},
		"advance to end":               {seq(advance(0x3f), advance(1), op(cfaDefCFAOffset, 16)), []testRow{{0, usual}}},
		"advance beyond":               {seq(op(cfaAdvanceLoc4, []byte{0xff, 0xff, 0xff, 0xff}), op(cfaDefCFAOffset, 16)), []testRow{{0, usual}}},
		"no change":                    {seq(advance(5), op(cfaDefCFAOffset, 8)), []testRow{{0, usual}}},
		"def_cfa":                      {op(cfaDefCFA, 6, 16), []testRow{{0, frame(CFAFP, 16)}}},
		"def_cfa_sf":                   {op(cfaDefCFASF, 7, int64(-3)), []testRow{{0, frame(CFASP, 24)}}},
		"def_cfa_register":             {op(cfaDefCFARegister, 6), []testRow{{0, frame(CFAFP, 8)}}},
		"other register":               {op(cfaDefCFARegister, 10), []testRow{{0, lost}}},
		"def_cfa_offset":               {op(cfaDefCFAOffset, 1<<31-1), []testRow{{0, frame(CFASP, 1<<31-1)}}},
		"offset too large":             {op(cfaDefCFAOffset, 1<<31), []testRow{{0, lost}}},
		"offset huge":                  {op(cfaDefCFAOffset, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}), []testRow{{0, lost}}},
		"offset overflows":             {op(cfaDefCFAOffsetSF, int64(1)<<62), []testRow{{0, lost}}},
		"def_cfa_offset_sf":            {op(cfaDefCFAOffsetSF, int64(-2)), []testRow{{0, frame(CFASP, 16)}}},
		"offset":                       {op(cfaOffset<<6|6, 2), []testRow{{0, usual.fp(AtCFA, -16)}}},
		"offset too far":               {op(cfaOffset<<6|6, 1<<30), []testRow{{0, usual.fp(Unknown, 0)}}},
		"other offset":                 {op(cfaOffset<<6|3, 2), []testRow{{0, usual}}},
		"offset_extended":              {op(cfaOffsetExtended, 6, 3), []testRow{{0, usual.fp(AtCFA, -24)}}},
		"offset_extended_sf":           {op(cfaOffsetExtendedSF, 16, int64(-1)), []testRow{{0, usual.ra(AtCFA, 8)}}},
		"GNU_negative_offset_extended": {op(cfaGNUNegativeOffset, 6, 2), []testRow{{0, usual.fp(AtCFA, 16)}}},
		"val_offset":                   {op(cfaValOffset, 6, 2), []testRow{{0, usual.fp(Unknown, 0)}}},
		"val_offset_sf":                {op(cfaValOffsetSF, 16, int64(2)), []testRow{{0, usual.ra(Unknown, 0)}}},
		"SP is the CFA":                {op(cfaValOffset, 7, 0), []testRow{{0, usual}}},
		"SP is not":                    {op(cfaValOffset, 7, 1), []testRow{{0, lost}}},
		"SP in memory":                 {op(cfaOffset<<6|7, 2), []testRow{{0, lost}}},
		"register":                     {op(cfaRegister, 6, 3), []testRow{{0, usual.fp(Unknown, 0)}}},
		"same_value":                   {seq(op(cfaOffset<<6|6, 2), op(cfaSameValue, 6)), []testRow{{0, usual}}},
		"RA same_value":                {op(cfaSameValue, 16), []testRow{{0, usual.ra(Unknown, 0)}}},
		"undefined":                    {op(cfaUndefined, 6), []testRow{{0, usual.fp(Unknown, 0)}}},
		"end of stack":                 {op(cfaUndefined, 16), []testRow{{0, usual.ra(Undefined, 0)}}},
		"end, CFA unknown":             {seq(op(cfaUndefined, 16), op(cfaDefCFARegister, 1)), []testRow{{0, lost.ra(Undefined, 0)}}},
		"restore": {seq(op(cfaOffset<<6|6, 2), op(cfaUndefined, 16), op(cfaUndefined, 7), advance(1), op(cfaRestore<<6|6), op(cfaRestore<<6|16), op(cfaRestore<<6|7)),
			[]testRow{{0, usual.fp(AtCFA, -16).ra(Undefined, 0)}, {1, usual}}},
		"restore_extended": {seq(op(cfaOffset<<6|6, 2), advance(1), op(cfaRestoreExtended, 6)), []testRow{{0, usual.fp(AtCFA, -16)}, {1, usual}}},
		"remember_state": {seq(op(cfaOffset<<6|6, 2), op(cfaRememberState), advance(1), op(cfaRestore<<6|6), op(cfaDefCFA, 6, 16), advance(1), op(cfaRestoreState)),
			[]testRow{{0, usual.fp(AtCFA, -16)}, {1, frame(CFAFP, 16)}, {2, usual.fp(AtCFA, -16)}}},
		"remember twice": {seq(op(cfaRememberState), op(cfaDefCFAOffset, 16), op(cfaRememberState), op(cfaDefCFAOffset, 24),
			advance(1), op(cfaRestoreState), advance(1), op(cfaRestoreState)),
			[]testRow{{0, frame(CFASP, 24)}, {1, frame(CFASP, 16)}, {2, usual}}},
		"GNU_args_size":       {op(cfaGNUArgsSize, 300), []testRow{{0, usual}}},
		"*(SP)":               {op(cfaDefCFAExpression, block(0x77, 0x28, opDeref)), []testRow{{0, frame(CFADerefSP, 40)}}},
		"*(FP)":               {op(cfaDefCFAExpression, block(0x76, 0x78, opDeref)), []testRow{{0, frame(CFADerefFP, -8)}}},
		"*(SP)+8":             {op(cfaDefCFAExpression, block(0x77, 0x28, opDeref, opPlusUconst, 8)), []testRow{{0, frame(CFADerefSP8, 40)}}},
		"*(FP)+8":             {op(cfaDefCFAExpression, block(0x76, 0x78, opDeref, opPlusUconst, 8)), []testRow{{0, frame(CFADerefFP8, -8)}}},
		"*(SP)+16":            {op(cfaDefCFAExpression, block(0x77, 0x28, opDeref, opPlusUconst, 16)), []testRow{{0, lost}}},
		"*(r10)":              {op(cfaDefCFAExpression, block(0x7a, 0, opDeref)), []testRow{{0, lost}}},
		"SP":                  {op(cfaDefCFAExpression, block(0x77, 0)), []testRow{{0, lost}}},
		"**(SP)":              {op(cfaDefCFAExpression, block(0x77, 0, opDeref, opDeref)), []testRow{{0, lost}}},
		"empty expression":    {op(cfaDefCFAExpression, block()), []testRow{{0, lost}}},
		"cut expression":      {op(cfaDefCFAExpression, block(0x77, 0x80)), []testRow{{0, lost}}},
		"expression, then SP": {seq(op(cfaDefCFAExpression, block(0x77, 0x28, opDeref)), advance(1), op(cfaDefCFA, 7, 8)), []testRow{{0, frame(CFADerefSP, 40)}, {1, usual}}},
		"PLT":                 {op(cfaDefCFAExpression, block(0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22)), []testRow{{0, frame(CFAPLT, 11)}}},
		"PLT for IBT":         {op(cfaDefCFAExpression, block(0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x39, 0x2a, 0x33, 0x24, 0x22)), []testRow{{0, frame(CFAPLT, 9)}}},
		"no PLT":              {op(cfaDefCFAExpression, block(0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x22, 0x2a, 0x33, 0x24, 0x22)), []testRow{{0, lost}}},
		"FP at SP":            {op(cfaExpression, 6, block(0x77, 16)), []testRow{{0, usual.fp(AtSP, 16)}}},
		"FP at FP":            {op(cfaExpression, 6, block(0x76, 0)), []testRow{{0, usual.fp(AtFP, 0)}}},
		"RA at SP":            {op(cfaExpression, 16, block(0x77, 0x78)), []testRow{{0, usual.ra(AtSP, -8)}}},
		"FP by expression":    {op(cfaExpression, 6, block(0x77, 16, opDeref)), []testRow{{0, usual.fp(Unknown, 0)}}},
		"val_expression":      {op(cfaValExpression, 6, block(0x77, 16)), []testRow{{0, usual.fp(Unknown, 0)}}},
		"SP by expression": {seq(op(cfaDefCFAExpression, block(0x77, 0x28, opDeref)), op(cfaExpression, 7, block(0x77, 0x28)),
			advance(1), op(cfaExpression, 7, block(0x77, 0x30))), []testRow{{0, frame(CFADerefSP, 40)}, {1, lost}}},
		"SP by FP": {seq(op(cfaDefCFAExpression, block(0x76, 0x28, opDeref)), op(cfaExpression, 7, block(0x76, 0x28)),
			advance(1), op(cfaExpression, 7, block(0x77, 0x28))), []testRow{{0, frame(CFADerefFP, 40)}, {1, lost}}},
	} {
		t.Run(name, func(t *testing.T) {
			table := oneFunction(t, elf.EM_X86_64, testCIE{}, c.code)
			require.NoError(t, table.Cause)
			assert.Equal(t, append(c.want, testRow{0x40, NoInfo}), rowsOf(table))
		})
	}
}

func TestInstructionsOfARM64(t *testing.T) {
	framed := Rule{CFA: CFASP, CFAOffset: 32, FP: AtCFA, FPOffset: -32, RA: AtCFA, RAOffset: -24}
	for name, c := range map[string]struct {
		code []byte
		want []testRow
	}{
		"leaf": {nil, []testRow{{0, link(0)}}},
		"frame": {seq(advance(1), op(cfaDefCFAOffset, 32), op(cfaOffset<<6|29, 4), op(cfaOffset<<6|30, 3)),
			[]testRow{{0, link(0)}, {4, framed}}},
		"frame pointer":    {op(cfaDefCFA, 29, 16), []testRow{{0, Rule{CFA: CFAFP, CFAOffset: 16, FP: Same, RA: InLR}}}},
		"same_value":       {op(cfaSameValue, 30), []testRow{{0, link(0)}}},
		"undefined":        {op(cfaUndefined, 30), []testRow{{0, link(0).ra(Undefined, 0)}}},
		"register":         {op(cfaRegister, 30, 9), []testRow{{0, link(0).ra(Unknown, 0)}}},
		"signed":           {seq(op(cfaNegateRAState), advance(1), op(cfaNegateRAStateWithPC)), []testRow{{0, link(0)}}},
		"*(SP)":            {op(cfaDefCFAExpression, block(0x8f, 8, opDeref)), []testRow{{0, Rule{CFA: CFADerefSP, CFAOffset: 8, FP: Same, RA: InLR}}}},
		"the PLT of amd64": {op(cfaDefCFAExpression, block(0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22)), []testRow{{0, lost}}},
	} {
		t.Run(name, func(t *testing.T) {
			table := oneFunction(t, elf.EM_AARCH64, armCIE, c.code)
			require.NoError(t, table.Cause)
			assert.Equal(t, ARM64, table.Arch)
			assert.Equal(t, append(c.want, testRow{0x40, NoInfo}), rowsOf(table))
		})
	}
}

// The return address may be in another column than that of the link register.
func TestOtherReturnColumn(t *testing.T) {
	c := armCIE
	c.version, c.ra = 3, 200
	assert.Equal(t, link(0).ra(Unknown, 0), oneFunction(t, elf.EM_AARCH64, c, nil).Rules[1])
	saved := oneFunction(t, elf.EM_AARCH64, c, op(cfaOffsetExtended, 200, 1))
	assert.Equal(t, link(0).ra(AtCFA, -8), saved.Rules[1])
}

// An FDE that cannot be is left out, with a cause, and the others stay.
func TestDamagedInstructions(t *testing.T) {
	many := make([]byte, maxRemembered+1)
	for i := range many {
		many[i] = cfaRememberState
	}
	for name, c := range map[string]struct {
		code []byte
		want error
	}{
		"unknown":           {op(0x3f), ErrDamaged},
		"of arm64":          {op(cfaNegateRAState), ErrDamaged},
		"cut":               {op(cfaDefCFA, 7), ErrDamaged},
		"cut expression":    {op(cfaDefCFAExpression, 5, []byte{1}), ErrDamaged},
		"huge expression":   {op(cfaDefCFAExpression, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}), ErrDamaged},
		"long number":       {op(cfaDefCFAOffset, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2}), ErrDamaged},
		"endless number":    {op(cfaDefCFAOffset, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}), ErrDamaged},
		"long signed":       {op(cfaDefCFAOffsetSF, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2}), ErrDamaged},
		"nothing to recall": {op(cfaRestoreState), ErrDamaged},
		"back":              {op(cfaSetLoc, encode(uint64(codeAddress))), ErrDamaged},
		"too deep":          {many, ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			f := frameBuilder{eh: true}
			e := f.cie(testCIE{})
			f.fde(e, absolute(0, 0x10))
			f.fde(e, absolute(0x10, 0x10), op(cfaDefCFAOffset, 16), advance(1), op(cfaDefCFAOffset, 24), advance(1), c.code)
			f.fde(e, absolute(0x20, 0x10))
			table := compile(t, elfBuilder{eh: f.data}.build())
			assert.Equal(t, 1, table.Damaged)
			assert.Equal(t, 2, table.Functions)
			assert.ErrorIs(t, table.Cause, c.want)
			assert.Equal(t, []testRow{{0, usual}, {0x10, NoInfo}, {0x20, usual}, {0x30, NoInfo}}, rowsOf(table))
		})
	}
}
