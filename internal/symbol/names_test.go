// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestNamesAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOf(rapid.OneOf(
			rapid.StringMatching(`(a|bc){0,20}`),
			rapid.StringN(0, 40, maxName),
			rapid.Map(rapid.IntRange(0, maxName), func(n int) string { return string(make([]byte, n)) }),
		)).Draw(t, "names")
		var w nameWriter
		for i, name := range all {
			require.EqualValues(t, i, w.add([]byte(name)))
		}
		n := w.names()
		for _, i := range rapid.SliceOf(rapid.IntRange(0, max(0, len(all)-1))).Draw(t, "order") {
			if i < len(all) {
				require.Equal(t, all[i], n.at(uint32(i)))
			}
		}
	})
}

func TestNamesOfOneClassTakeLittle(t *testing.T) {
	var w nameWriter
	for _, method := range []string{"Add", "Append", "Find", "Insert", "Len"} {
		w.add([]byte("github.com/someone/something/internal/thing.(*Thing)." + method))
	}
	n := w.names()
	require.Less(t, n.bytes(), 56+4*10+4)
}
