// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// A window that is over and waits counts as open, holds back what listeners are told, and
// keeps what is known of the processes that end meanwhile.
func TestAWindowThatWaitsIsNotForgotten(t *testing.T) {
	p, r := startMaker(t)
	p.PerfMapRead(says(r, 1160*ms, 1170*ms, "made"))
	p.code.want(event.FileID{BuildID: "slow"}, &event.Mapping{BuildID: "slow"}, Holders{PIDs: [2]uint32{7}})
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{
		{Kind: event.Exit, KTime: 1980 * ms, Proc: maker}, {Kind: event.Free, KTime: 1990 * ms, Proc: maker},
	}})
	require.Empty(t, p.Complete(2000*ms))
	require.Empty(t, p.jit.maps, "the process is forgotten")
	require.Equal(t, Ledger{Seen: 1, Open: 1}, p.Stats().Ledger)
	oldest, any := p.Oldest()
	require.True(t, any)
	require.Equal(t, 1100*ms, oldest)

	require.Equal(t, "made", named(t, p.Complete(2500*ms)))
	require.Equal(t, Ledger{Seen: 1, Closed: 1}, p.Stats().Ledger)
	_, any = p.Oldest()
	require.False(t, any)
}
