// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// inFlight runs a barrier beside a lingering program until it was caught in
// flight, and returns what that showed.
func inFlight(t *testing.T, barrier func() error) error {
	t.Helper()
	var o bpf.SelftestObjects
	require.NoError(t, bpf.LoadSelftestObjects(&o, nil))
	defer o.Close()
	for range 20 {
		if caught, err := catchInFlight(&o, barrier); caught || err != nil {
			return err
		}
	}
	t.Fatal("no program was caught in flight: the test has no power")
	return nil
}

func TestTheBarrierOfTheSourceWaits(t *testing.T) {
	k := open(t, Settings{SamplesPerSecond: 19, PollInterval: time.Second})
	for range 5 {
		require.NoError(t, inFlight(t, k.Barrier))
	}
}

// Without a barrier the same test finds the program still running.
func TestNoBarrierIsFound(t *testing.T) {
	roottest.Need(t)
	require.ErrorIs(t, inFlight(t, func() error { return nil }), errBarrier)
}
