// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package demangle

import "strings"

// rare are pieces of symbols of C++ that take the library more than their share of time and
// memory if they come often, and how often they may: several times as often as in any of
// 290,000 symbols of Node, LLVM, clang, the JVM and libstdc++. They are counted wherever they
// stand, also in identifiers, as only the library knows which these are.
var rare = []struct {
	piece string
	most  int
}{
	{"Z", 32},  // names within functions
	{"Dp", 16}, // expansions of packs
	{"sp", 24}, // the same in expressions
	{"cv", 8},  // conversions
	{"T", 64},  // parameters of templates
}

// isCostly reports whether a symbol may take the library long, whatever is shown of it.
func isCostly(symbol string) bool {
	if !strings.HasPrefix(symbol, "_Z") {
		return false
	}
	for _, r := range rare {
		if strings.Count(symbol, r.piece) > r.most {
			return true
		}
	}
	return false
}

const (
	// maxReferences bounds the references to what was before in a symbol with parameters of
	// templates: each may double the work. Of 4004 such symbols of LLVM 18 have more.
	maxReferences = 20
	// maxExpansion bounds the work of pack expansions, each of which may take the square of
	// the length. Of 3065 symbols of Node with some 11 take more.
	maxExpansion = 200_000
)

// isCostlyInFull reports whether parameters or arguments of templates may take long.
func isCostlyInFull(symbol string) bool {
	if strings.Contains(symbol, "T") && references(symbol) > maxReferences {
		return true
	}
	packs := strings.Count(symbol, "Dp") + strings.Count(symbol, "sp")
	return packs*len(symbol)*len(symbol) > maxExpansion && strings.Contains(symbol, "J") // a pack
}

// references counts what looks like S_, S0_ or SA1_.
func references(symbol string) (n int) {
	for {
		_, rest, found := strings.Cut(symbol, "S")
		if !found {
			return n
		}
		symbol = rest
		if strings.HasPrefix(strings.TrimLeft(rest, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"), "_") {
			n++
		}
	}
}
