// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package watermark

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

func TestANewBufferDoesNotStepBack(t *testing.T) {
	w := New(1, Guard)
	w.Barrier(10*ms, []uint64{0})
	w.Drained(0, 0)
	first, _ := w.Complete()
	w.Grow(2)
	_, ok := w.Complete()
	require.False(t, ok, "no barrier has passed since")
	w.Barrier(20*ms, []uint64{0, 8})
	w.Drained(0, 0)
	until, ok := w.Complete()
	require.False(t, ok, "the new buffer holds the round")
	require.Equal(t, first, until)
	w.Drained(1, 8)
	until, ok = w.Complete()
	require.True(t, ok)
	require.Equal(t, event.KTime(19*ms-1), until)
}
