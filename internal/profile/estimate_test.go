// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"pgregory.net/rapid"
)

// TestEstimate compares the size kept while building with the real one. With
// strings in place it is exact; with references it is an upper bound, because
// their indices are not known before encoding.
func TestEstimate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		owners := drawOwners(t)
		w := fill(owners, drawAdditions(t, len(owners)))
		if w.Samples() == 0 {
			return
		}
		s := testSettings
		s.MaxBatchBytes = math.MaxInt
		b := newBuilder(w, s, fakeResolver{})
		for _, o := range w.orderedOwners() {
			b.begin(w.owners.keys[o])
			for _, r := range w.ofOwner[o] {
				b.add(w.records.keys[r], w.appendTimes(nil, r, s))
			}
		}
		estimate := b.size(b.current)
		plain := bytesSize(b.dict.size) + b.closed.plus(b.envelope.resource(b.current)).plain
		p := b.finish().Profiles
		require.Equal(t, (&pprofile.ProtoMarshaler{}).ProfilesSize(p), plain)
		require.LessOrEqual(t, len(encode(t, p)), estimate)
	})
}
