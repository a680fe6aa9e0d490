// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Regions cover a mapping without gap or overlap, each address by the piece that
// describes it.
func TestRegions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pieces []Piece
		at := uint64(rapid.IntRange(0, 20).Draw(t, "gap"))
		for i := range rapid.IntRange(0, 4).Draw(t, "pieces") {
			to := at + uint64(rapid.IntRange(1, 20).Draw(t, "size"))
			pieces = append(pieces, Piece{From: at, To: to, Base: at / 2, Chunk: uint32(i), First: 7, Rows: uint32(i + 1)})
			at = to + uint64(rapid.IntRange(0, 5).Draw(t, "gap"))
		}
		bias := uint64(rapid.SampledFrom([]int64{0, 1000, -3}).Draw(t, "bias"))
		start := uint64(rapid.IntRange(0, 60).Draw(t, "start")) + 1000
		end := start + uint64(rapid.IntRange(1, 60).Draw(t, "length"))
		regions := Regions(nil, start, end, bias+1000, pieces)
		next := start
		for _, r := range regions {
			require.Equal(t, next, r.Start)
			require.Greater(t, r.End, r.Start)
			next = r.End
		}
		require.Equal(t, end, next)
		for address := start; address < end; address++ {
			var want Region
			for _, p := range pieces {
				if from := p.From + bias + 1000; from <= address && address-from < p.To-p.From && from <= p.To+bias+1000 {
					want = Region{Base: p.Base + bias + 1000, Chunk: p.Chunk, First: p.First, Rows: p.Rows}
				}
			}
			for _, r := range regions {
				if r.Start <= address && address < r.End {
					r.Start, r.End = 0, 0
					require.Equal(t, want, r, "%d", address)
				}
			}
		}
	})
}
