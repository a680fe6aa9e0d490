// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// The rules that stay: that there is none, the one that ends a walk, and what code without
// a rule is taken to have; see bpf/wire.h.
const (
	_ = iota // that there is none
	unsupported
	framePointers
	firstRule
)

// rules are the rules of all tables, numbered. Each is there once, in memory that the
// sampler reads.
type rules struct {
	memory  []bpf.ProfilerWireRule
	numbers map[unwind.Rule]uint32
	// users are the tables that use a rule, by its number, and one more for those that
	// stay; free are the numbers of those that none uses.
	users []int
	free  []uint32
}

func newRules(memory []bpf.ProfilerWireRule) rules {
	r := rules{memory: memory, numbers: map[unwind.Rule]uint32{}}
	r.take(unwind.NoInfo)
	r.take(unwind.Rule{CFA: unwind.CFAUnsupported})
	r.take(unwind.FramePointers)
	return r
}

// take returns the number of a rule for one more table, that of the unsupported one if
// there are too many.
func (r *rules) take(rule unwind.Rule) uint32 {
	n, ok := r.numbers[rule]
	switch {
	case ok:
	case len(r.free) > 0:
		n, r.free = r.free[len(r.free)-1], r.free[:len(r.free)-1]
	case len(r.users) < len(r.memory):
		n = uint32(len(r.users))
		r.users = append(r.users, 0)
	default:
		n, ok = unsupported, true
	}
	r.users[n]++
	if !ok {
		r.numbers[rule] = n
		r.memory[n] = wireRule(rule)
	}
	return n
}

// release is told that a table uses these no more, and that no program reads it.
func (r *rules) release(numbers []uint32) {
	for _, n := range numbers {
		if r.users[n]--; r.users[n] == 0 {
			delete(r.numbers, r.at(n))
			r.free = append(r.free, n)
		}
	}
}

// at returns the rule of a number.
func (r *rules) at(n uint32) unwind.Rule {
	w := r.memory[n]
	return unwind.Rule{
		CFA: unwind.CFA(w.Cfa), FP: unwind.Place(w.Fp), RA: unwind.Place(w.Ra),
		Signal: w.Leap == uint8(bpf.ProfilerWireLeapLEAP_SIGNAL), Switch: w.Leap == uint8(bpf.ProfilerWireLeapLEAP_SWITCH),
		CFAOffset: w.CfaOffset, FPOffset: w.FpOffset, RAOffset: w.RaOffset,
	}
}

func wireRule(r unwind.Rule) bpf.ProfilerWireRule {
	leap := bpf.ProfilerWireLeapLEAP_NONE
	switch {
	case r.Signal:
		leap = bpf.ProfilerWireLeapLEAP_SIGNAL
	case r.Switch:
		leap = bpf.ProfilerWireLeapLEAP_SWITCH
	}
	return bpf.ProfilerWireRule{
		Cfa: uint8(r.CFA), Fp: uint8(r.FP), Ra: uint8(r.RA), Leap: uint8(leap),
		CfaOffset: r.CFAOffset, FpOffset: r.FPOffset, RaOffset: r.RAOffset,
	}
}
