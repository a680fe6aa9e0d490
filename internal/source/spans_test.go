// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Rows that are free behave like a set: what is taken was there, and neighbours make one
// span again.
func TestSpansAreASetOfRows(t *testing.T) {
	const chunks, rows, least = 3, 40, 5
	type row struct {
		chunk uint32
		at    int
	}
	rapid.Check(t, func(t *rapid.T) {
		var s spans
		var taken []span
		free := map[row]bool{}
		add := func(x span) {
			s.put(x)
			for at := x.from; at < x.to; at++ {
				require.False(t, free[row{x.chunk, at}])
				free[row{x.chunk, at}] = true
			}
		}
		for c := range uint32(chunks) {
			add(span{c, 0, rows})
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if len(taken) > 0 && rapid.Bool().Draw(t, "put") {
				i := rapid.IntRange(0, len(taken)-1).Draw(t, "which")
				add(taken[i])
				taken = append(taken[:i], taken[i+1:]...)
			} else {
				n := rapid.IntRange(1, rows+5).Draw(t, "n")
				largest := 0
				for _, x := range s {
					largest = max(largest, x.rows())
				}
				x, ok := s.take(n, least)
				require.Equal(t, largest >= min(n, least), ok)
				if ok {
					require.Equal(t, min(n, max(x.rows(), min(n, largest))), x.rows(), "as many as fit into one")
					for at := x.from; at < x.to; at++ {
						require.True(t, free[row{x.chunk, at}])
						delete(free, row{x.chunk, at})
					}
					taken = append(taken, x)
				}
			}
			require.Equal(t, len(free), s.total())
			for i, x := range s {
				require.Positive(t, x.rows())
				if i > 0 {
					last := s[i-1]
					require.True(t, last.chunk < x.chunk || last.chunk == x.chunk && last.to < x.from, "ascending, and no neighbours")
				}
			}
		}
		for _, x := range taken {
			add(x)
		}
		for range chunks {
			x, ok := s.whole(rows)
			require.True(t, ok)
			require.Equal(t, rows, x.rows())
		}
		require.Empty(t, s)
	})
}
