// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"slices"
)

// span is a range of the rows of a chunk.
type span struct {
	chunk    uint32
	from, to int
}

func (s span) rows() int { return s.to - s.from }

// spans are rows that may be written to, ascending; neighbours are one.
type spans []span

// put adds a span that overlaps none.
func (s *spans) put(x span) {
	i, _ := slices.BinarySearchFunc(*s, x, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.chunk, b.chunk), cmp.Compare(a.from, b.from))
	})
	if i < len(*s) && (*s)[i].chunk == x.chunk && (*s)[i].from == x.to {
		x.to = (*s)[i].to
		*s = slices.Delete(*s, i, i+1)
	}
	if i > 0 && (*s)[i-1].chunk == x.chunk && (*s)[i-1].to == x.from {
		(*s)[i-1].to = x.to
		return
	}
	*s = slices.Insert(*s, i, x)
}

// take removes up to n rows, and no fewer than least unless n is less. They are from
// the span that they fit into best, else from the largest.
func (s *spans) take(n, least int) (span, bool) {
	best := -1
	for i, x := range *s {
		if best < 0 || better(x.rows(), (*s)[best].rows(), n) {
			best = i
		}
	}
	if best < 0 || (*s)[best].rows() < min(n, least) {
		return span{}, false
	}
	x := (*s)[best]
	if x.rows() <= n {
		*s = slices.Delete(*s, best, best+1)
		return x, true
	}
	(*s)[best].from += n
	x.to = x.from + n
	return x, true
}

// better reports whether a rows suit n better than b rows do.
func better(a, b, n int) bool {
	if (a >= n) == (b >= n) {
		return a < b == (a >= n) && a != b
	}
	return a >= n
}

// whole removes a span of so many rows, if there is one.
func (s *spans) whole(rows int) (x span, ok bool) {
	i := slices.IndexFunc(*s, func(x span) bool { return x.rows() == rows })
	if i < 0 {
		return span{}, false
	}
	x = (*s)[i]
	*s = slices.Delete(*s, i, i+1)
	return x, true
}

// total is the number of rows.
func (s spans) total() (n int) {
	for _, x := range s {
		n += x.rows()
	}
	return n
}
