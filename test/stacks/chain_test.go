// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build stacks && linux

package stacks_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// frame is what a test knows of one: the names that its address has in the symbols of
// its file, and the file's name. Code in no file has neither.
type frame struct {
	names []string
	file  string
}

func (f frame) String() string {
	if len(f.names) > 0 {
		return f.names[0]
	}
	return "[" + f.file + "]"
}

// text is a stack in the words of a chain.
func text(stack []frame) string {
	var out []string
	for _, f := range stack {
		out = append(out, f.String())
	}
	return strings.Join(out, " ")
}

// chain is a true chain of calls, innermost first. Its links are
//
//	name         a function
//	[file]       a frame in a file whose symbols do not tell functions, [] in no file
//	!a           any frame but this
//	a|b          one of these
//	a+  a*       one or more of these, none or more
//	...          whatever frames
type chain []string

// links joins parts, each of which may have several links.
func links(parts ...string) (c chain) {
	for _, p := range parts {
		c = append(c, strings.Fields(p)...)
	}
	return c
}

// times repeats links.
func times(n int, links string) string { return strings.Repeat(links+" ", n) }

// matches says whether the chain is that of a stack, whole.
func (c chain) matches(stack []frame) bool {
	if len(c) == 0 {
		return len(stack) == 0
	}
	link, rest := c[0], c[1:]
	if link == "..." {
		return rest.matches(stack) || len(stack) > 0 && c.matches(stack[1:])
	}
	one := strings.TrimRight(link, "+*")
	here := len(stack) > 0 && slices.ContainsFunc(strings.Split(one, "|"), stack[0].is)
	switch link[len(one):] {
	case "*":
		return rest.matches(stack) || here && c.matches(stack[1:])
	case "+":
		return here && (rest.matches(stack[1:]) || c.matches(stack[1:]))
	}
	return here && rest.matches(stack[1:])
}

func (f frame) is(link string) bool {
	if not, ok := strings.CutPrefix(link, "!"); ok {
		return !f.is(not)
	}
	if file, ok := strings.CutPrefix(link, "["); ok {
		return f.file == strings.TrimSuffix(file, "]")
	}
	return slices.Contains(f.names, link)
}

func TestAChainIsMatchedFrameByFrame(t *testing.T) {
	a, b, other := frame{names: []string{"a", "alias"}, file: "f"}, frame{names: []string{"b"}, file: "f"}, frame{file: "lib.so"}
	for _, c := range []struct {
		chain string
		stack []frame
		want  bool
	}{
		{"a b", []frame{a, b}, true},
		{"alias b", []frame{a, b}, true},
		{"a b", []frame{a}, false},
		{"a b", []frame{a, b, b}, false},
		{"a b", []frame{b, a}, false},
		{"a b", []frame{a, other, b}, false},
		{"a [lib.so] b", []frame{a, other, b}, true},
		{"a [lib.so] b", []frame{a, b}, false},
		{"a [lib.so]* b", []frame{a, b}, true},
		{"a [lib.so]+ b", []frame{a, b}, false},
		{"a [lib.so]+ b", []frame{a, other, other, b}, true},
		{"a|b b", []frame{b, b}, true},
		{"a|c b", []frame{b, b}, false},
		{"!b+ b", []frame{a, other, b}, true},
		{"!b+ b", []frame{a, b, b}, false},
		{"a ... b", []frame{a, other, a, b}, true},
		{"a ...", []frame{b}, false},
		{"a []", []frame{a, {}}, true},
		{"a []", []frame{a, other}, false},
	} {
		require.Equal(t, c.want, links(c.chain).matches(c.stack), "%s: %s", c.chain, text(c.stack))
	}
}
