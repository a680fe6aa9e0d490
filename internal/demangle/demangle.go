// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package demangle makes the names that C++ and Rust compilers give functions
// readable. It is pure, and safe with names that a hostile file holds.
package demangle

import (
	"strings"

	"github.com/ianlancetaylor/demangle"
)

// Mode says how much of a name is shown.
type Mode string

const (
	// None leaves names as they are.
	None Mode = "none"
	// Simplified leaves out parameters, template arguments and what the compiler
	// appended to copies it made of a function.
	Simplified Mode = "simplified"
	// Full shows everything.
	Full Mode = "full"
)

// Modes are all there are.
var Modes = []Mode{None, Simplified, Full}

const (
	// maxSymbol bounds what is tried: parsing a name recurses as deep as it nests.
	maxSymbol = 4 << 10
	// maxNameBits bounds what comes out, which may be exponential in the symbol.
	maxNameBits = 14
	// maxKept bounds the names that are remembered.
	maxKept = 16 << 10
)

// Names demangles symbols and remembers them. It is used by one goroutine.
type Names struct {
	options []demangle.Option
	kept    map[string]string
}

// New returns a function that demangles, nil if there is nothing to do.
func New(m Mode) func(symbol string) string {
	n := &Names{kept: map[string]string{}}
	switch m {
	case Simplified:
		n.options = []demangle.Option{demangle.NoParams, demangle.NoEnclosingParams, demangle.NoTemplateParams, demangle.NoClones}
	case Full:
	default:
		return nil
	}
	n.options = append(n.options, demangle.MaxLength(maxNameBits))
	return n.name
}

// name returns the readable form of a symbol, or the symbol if it has none.
func (n *Names) name(symbol string) string {
	if !mangled(symbol) {
		return symbol
	}
	if name, ok := n.kept[symbol]; ok {
		return name
	}
	name, err := demangle.ToString(symbol, n.options...)
	if err != nil || name == "" {
		name = symbol
	}
	name = strings.ReplaceAll(name, "::<>", "") // where Rust has its generic arguments
	if len(n.kept) >= maxKept {
		clear(n.kept)
	}
	n.kept[symbol] = name
	return name
}

// Rust tells symbols of Rust: of its own scheme, and of that before, which ends in a hash of
// 16 digits.
func Rust(symbol string) bool {
	if !mangled(symbol) {
		return false
	}
	if strings.HasPrefix(symbol, "_R") {
		_, err := demangle.ToString(symbol, demangle.MaxLength(maxNameBits))
		return err == nil
	}
	symbol, _, _ = strings.Cut(symbol, ".") // what the compiler appends to copies
	const hash, digits = "17h", 16
	at := len(symbol) - len(hash) - digits - 1
	return at > 0 && symbol[len(symbol)-1] == 'E' && symbol[at:at+len(hash)] == hash &&
		strings.Trim(symbol[at+len(hash):len(symbol)-1], "0123456789abcdef") == ""
}

// mangled tells symbols that are worth a try: of the Itanium C++ ABI, which Rust
// used too, and of Rust's own scheme, RFC 2603.
func mangled(symbol string) bool {
	return len(symbol) <= maxSymbol && (strings.HasPrefix(symbol, "_Z") || strings.HasPrefix(symbol, "_R"))
}
