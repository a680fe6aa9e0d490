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
	// maxKept bounds the names that are remembered, maxKeptBytes their text and that of their
	// symbols.
	maxKept      = 16 << 10
	maxKeptBytes = 8 << 20
)

var (
	simplified = []demangle.Option{
		demangle.NoParams, demangle.NoEnclosingParams, demangle.NoTemplateParams, demangle.NoClones, demangle.MaxLength(maxNameBits),
	}
	full = []demangle.Option{demangle.MaxLength(maxNameBits)}
)

// Names demangles symbols and remembers them. It is used by one goroutine.
type Names struct {
	full  bool
	kept  map[string]string
	bytes int // of what is kept
}

// New returns a function that demangles, nil if there is nothing to do.
func New(m Mode) func(symbol string) string {
	if m != Simplified && m != Full {
		return nil
	}
	n := &Names{full: m == Full, kept: map[string]string{}}
	return n.name
}

// name returns the readable form of a symbol, or the symbol if it has none, or if it would
// take too long to find it.
func (n *Names) name(symbol string) string {
	if !mangled(symbol) {
		return symbol
	}
	if name, ok := n.kept[symbol]; ok {
		return name
	}
	name := symbol
	if !isCostly(symbol) {
		name = n.demangled(symbol)
	}
	// Neither what the text was cut from nor room to grow is kept.
	symbol, name = strings.Clone(symbol), strings.Clone(name)
	n.keep(symbol, name)
	return name
}

func (n *Names) demangled(symbol string) string {
	options := simplified
	if n.full && !isCostlyInFull(symbol) {
		options = full
	}
	name, err := demangle.ToString(symbol, options...)
	if err != nil || name == "" {
		return symbol
	}
	return strings.ReplaceAll(name, "::<>", "") // where Rust has its generic arguments
}

// keep remembers a name, and forgets all others if they become too many.
func (n *Names) keep(symbol, name string) {
	size := len(symbol) + len(name)
	if len(n.kept) >= maxKept || n.bytes+size > maxKeptBytes {
		clear(n.kept)
		n.bytes = 0
	}
	n.kept[symbol] = name
	n.bytes += size
}

// Rust tells symbols of Rust: of its own scheme, and of that before, which ends in a hash of
// 16 digits.
func Rust(symbol string) bool {
	if !mangled(symbol) {
		return false
	}
	if strings.HasPrefix(symbol, "_R") {
		_, err := demangle.ToString(symbol, full...)
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
