// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

// By turns the host is sampled and not. Windows lie in the time when it is, so all are as
// full as a busy host makes them, and only that time is due.
func TestSamplingByLot(t *testing.T) {
	roottest.InTime(t)
	const interval, rate = 600 * time.Millisecond, 97
	var draws atomic.Uint64
	s := fast()
	s.SamplesPerSecond = rate
	s.Lottery = receiver.Lottery{Threshold: 30, Interval: interval}
	s.Random = func() float64 { return []float64{0.2999, 0.3}[(draws.Add(1)-1)%2] }
	sink := &consumertest.ProfilesSink{}
	burn(t)
	r := startKernel(t, s, sink)
	began := time.Now()
	ledger := receiver.ReadLedger(r)
	looks, on := 0, 0
	for time.Since(began) < 6*interval+interval/2 {
		time.Sleep(20 * time.Millisecond)
		looks++
		if ledger().On {
			on++
		}
	}
	require.InDelta(t, 0.5, float64(on)/float64(looks), 0.25, "of the looks")
	before := ledger()
	require.NoError(t, r.Shutdown(t.Context()))
	took := time.Since(began).Seconds()
	l := ledger()
	t.Logf("%+v after %.1f s", l, took)
	requireClosed(t, l)
	require.Equal(t, l.Expected, l.Taken+l.Unfired)
	require.Greater(t, before.Completions, uint64(4), "completions go on")
	whole := rate * took * float64(runtime.NumCPU())
	require.InDelta(t, 0.5, float64(l.Expected)/whole, 0.15)
	require.GreaterOrEqual(t, len(sink.AllProfiles()), 3)
	for _, p := range sink.AllProfiles() {
		covered := p.ResourceProfiles().At(0).ScopeProfiles().At(0).Profiles().At(0).DurationNano()
		due := rate * float64(runtime.NumCPU()) * float64(covered) / 1e9
		full := float64(timestamps([]pprofile.Profiles{p})) / due
		t.Logf("a window of %v, %.2f full", time.Duration(covered), full)
		if time.Duration(covered) < interval/2 {
			continue // of a few samples
		}
		require.Greater(t, full, 0.75)
	}
}

func TestWithoutALotAllIsSampled(t *testing.T) {
	s := fast()
	s.Lottery = receiver.Lottery{Threshold: 100, Interval: time.Second}
	s.Random = func() float64 { return 0.9999 }
	r := startKernel(t, s, &consumertest.ProfilesSink{})
	ledger := receiver.ReadLedger(r)
	require.Eventually(t, func() bool { return ledger().Expected > 0 }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, r.Shutdown(t.Context()))
}
