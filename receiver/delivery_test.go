// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/consumer/xconsumer"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/sourcetest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

// start runs a receiver on the fake source until the test stops it.
func start(t *testing.T, s receiver.Settings, consume xconsumer.ConsumeProfilesFunc) *receiver.Receiver {
	t.Helper()
	next, err := xconsumer.NewProfiles(consume)
	require.NoError(t, err)
	r := receiver.New(metadatatest.NewSettings(componenttest.NewTelemetry()), s, sourcetest.Open, next)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	return r
}

// requireClosed checks that every sample taken is accounted for, at rest.
func requireClosed(t *testing.T, l receiver.Ledger) {
	t.Helper()
	require.Equal(t, l.Taken, l.Filtered+l.LostTotal()+l.Delivered, "%+v", l)
	require.Zero(t, l.InFlight)
	require.Zero(t, l.Late)
}

func TestAPermanentErrorLosesTheBatch(t *testing.T) {
	tried := map[time.Time]int{} // by the window's start
	r := start(t, fast(), func(_ context.Context, p pprofile.Profiles) error {
		tried[p.ResourceProfiles().At(0).ScopeProfiles().At(0).Profiles().At(0).Time().AsTime()]++
		return consumererror.NewPermanent(errors.New("no"))
	})
	ledger := receiver.ReadLedger(r)
	time.Sleep(3 * time.Second)
	require.NoError(t, r.Shutdown(t.Context()))
	l := ledger()
	requireClosed(t, l)
	require.Zero(t, l.Delivered)
	require.Equal(t, l.Taken, l.Lost["consumer_permanent"])
	require.GreaterOrEqual(t, len(tried), 3, "two full windows and the last one")
	for window, times := range tried {
		require.Equal(t, 1, times, window)
	}
}

func TestAnErrorIsRetriedUntilItPasses(t *testing.T) {
	var calls atomic.Int64
	s, sink := fast(), &consumertest.ProfilesSink{}
	s.ReporterInterval = 3 * time.Second // so that no other window is ready before it passes
	r := start(t, s, func(ctx context.Context, p pprofile.Profiles) error {
		if calls.Add(1) <= 2 {
			return errors.New("not now")
		}
		return sink.ConsumeProfiles(ctx, p)
	})
	ledger := receiver.ReadLedger(r)
	require.Eventually(t, func() bool { return calls.Load() >= 3 }, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, r.Shutdown(t.Context()))
	l := ledger()
	requireClosed(t, l)
	require.Equal(t, l.Taken, l.Delivered)
	require.Equal(t, l.Delivered, timestamps(sink.AllProfiles()))
}

func TestRetriesEndWhenTheNextWindowIsReady(t *testing.T) {
	r := start(t, fast(), func(context.Context, pprofile.Profiles) error { return errors.New("never") })
	ledger := receiver.ReadLedger(r)
	time.Sleep(3200 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.NoError(t, r.Shutdown(ctx))
	l := ledger()
	requireClosed(t, l)
	require.Positive(t, l.Lost["consumer_retry"])
	require.Positive(t, l.Lost["shutdown"])
	require.Equal(t, l.Taken, l.LostTotal())
}

func TestABlockedConsumerCostsOlderWindows(t *testing.T) {
	release := make(chan struct{})
	r := start(t, fast(), func(ctx context.Context, _ pprofile.Profiles) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	})
	ledger := receiver.ReadLedger(r)
	time.Sleep(4500 * time.Millisecond)
	l := ledger()
	require.Positive(t, l.Lost["consumer_slow"], "the second of four windows gave way to the third")
	require.Zero(t, l.Delivered)
	require.Equal(t, l.Taken, l.LostTotal()+l.InFlight, "in flight: %+v", l)
	require.GreaterOrEqual(t, l.Completions, uint64(9), "a blocked consumer does not hold the watermark")
	close(release)
	require.NoError(t, r.Shutdown(t.Context()))
	requireClosed(t, ledger())
}

func TestShutdownSaysWhatBecameOfTheSamples(t *testing.T) {
	for name, tc := range map[string]struct {
		answer error
		level  zapcore.Level
		lost   []string
	}{
		"all delivered": {nil, zapcore.InfoLevel, nil},
		"some lost":     {consumererror.NewPermanent(errors.New("no")), zapcore.WarnLevel, []string{"consumer_permanent"}},
	} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zapcore.InfoLevel)
			set := metadatatest.NewSettings(componenttest.NewTelemetry())
			set.Logger = zap.New(core)
			r := receiver.New(set, fast(), sourcetest.Open, consumertest.NewErr(tc.answer))
			require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
			ledger := receiver.ReadLedger(r)
			time.Sleep(300 * time.Millisecond)
			require.NoError(t, r.Shutdown(t.Context()))

			l, lost := ledger(), map[string]uint64{}
			for _, reason := range tc.lost {
				lost[reason] = l.Lost[reason]
			}
			require.Positive(t, l.Taken)
			said := logs.FilterMessage("Stopped profiling this host").All()
			require.Len(t, said, 1)
			require.Equal(t, tc.level, said[0].Level)
			require.Equal(t, map[string]any{
				"samples_taken":     l.Taken,
				"samples_filtered":  map[string]uint64{},
				"samples_lost":      lost,
				"samples_delivered": l.Delivered,
				"samples_in_flight": uint64(0),
			}, said[0].ContextMap())
		})
	}
}
