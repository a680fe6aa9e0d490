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
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/xconsumer"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/source"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/sourcetest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

// faulty is the fake with faults.
type faulty struct {
	*sourcetest.Fake
	// stall makes the first barrier take that long, hang the last one, which comes
	// after Stop.
	stall, hang   time.Duration
	barriers      atomic.Int64
	broken        atomic.Bool // the barrier fails
	stopped       atomic.Bool
	closed        atomic.Bool
	drainedClosed atomic.Int64
	countersFail  bool
}

var errBroken = errors.New("no grace period")

func (f *faulty) Barrier() error {
	if f.stopped.Load() {
		time.Sleep(f.hang)
	} else if f.barriers.Add(1) == 1 {
		time.Sleep(f.stall)
	}
	if f.broken.Load() {
		return errBroken
	}
	return nil
}

func (f *faulty) Stop() error { f.stopped.Store(true); return f.Fake.Stop() }

func (f *faulty) Close() error { f.closed.Store(true); return f.Fake.Close() }

func (f *faulty) Drain(buffer int, limit uint64, batch *event.Batch) (uint64, bool) {
	if f.closed.Load() {
		f.drainedClosed.Add(1)
	}
	return f.Fake.Drain(buffer, limit, batch)
}

func (f *faulty) Counters() (source.Counters, error) {
	if f.countersFail {
		return source.Counters{}, context.DeadlineExceeded
	}
	return f.Fake.Counters()
}

func startFaulty(t *testing.T, s receiver.Settings, f *faulty, consume xconsumer.ConsumeProfilesFunc) *receiver.Receiver {
	t.Helper()
	return startOn(t, componenttest.NewNopHost(), s, f, consume)
}

func startOn(t *testing.T, host component.Host, s receiver.Settings, f *faulty, consume xconsumer.ConsumeProfilesFunc) *receiver.Receiver {
	t.Helper()
	next, err := xconsumer.NewProfiles(consume)
	require.NoError(t, err)
	open := func(s source.Settings) (receiver.Source, error) {
		f.Fake = sourcetest.New(s)
		return f, nil
	}
	r := receiver.New(metadatatest.NewSettings(componenttest.NewTelemetry()), s, open, next)
	require.NoError(t, r.Start(t.Context(), host))
	return r
}

func nop(context.Context, pprofile.Profiles) error { return nil }

func TestTheLedgerIsClosedAtEveryMoment(t *testing.T) {
	for name, fails := range map[string]bool{"sound": false, "without counters": true} {
		t.Run(name, func(t *testing.T) {
			s := fast()
			s.SamplesPerSecond, s.CompletionInterval = 997, 500*time.Millisecond
			r := startFaulty(t, s, &faulty{countersFail: fails}, func(context.Context, pprofile.Profiles) error {
				time.Sleep(300 * time.Millisecond)
				return nil
			})
			ledger := receiver.ReadLedger(r)
			for deadline := time.Now().Add(2500 * time.Millisecond); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				l := ledger()
				require.Equal(t, l.Taken, l.Filtered+l.LostTotal()+l.Delivered+l.InFlight, "%+v", l)
			}
			require.NoError(t, r.Shutdown(t.Context()))
			requireClosed(t, ledger())
		})
	}
}

func TestWindowsThatCloseTogetherAreAllDelivered(t *testing.T) {
	r := startFaulty(t, fast(), &faulty{stall: 3500 * time.Millisecond}, nop)
	ledger := receiver.ReadLedger(r)
	time.Sleep(4200 * time.Millisecond)
	require.NoError(t, r.Shutdown(t.Context()))
	l := ledger()
	requireClosed(t, l)
	require.Equal(t, l.Taken, l.Delivered, "%+v", l)
}

// However long it takes to take what is left: the last window ends with sampling.
func TestTheLastWindowEndsWithSampling(t *testing.T) {
	var end time.Time // of the last window
	s, f := fast(), &faulty{hang: 2 * time.Second}
	s.ReporterInterval = time.Minute
	r := startFaulty(t, s, f, func(_ context.Context, p pprofile.Profiles) error {
		is := p.ResourceProfiles().At(0).ScopeProfiles().At(0).Profiles().At(0)
		end = is.Time().AsTime().Add(time.Duration(is.DurationNano()))
		return nil
	})
	time.Sleep(1500 * time.Millisecond)
	before := time.Now()
	require.NoError(t, r.Shutdown(t.Context()))
	require.WithinDuration(t, before, end, f.hang/2)
}

func TestNoCallBeginsAfterShutdown(t *testing.T) {
	s := fast()
	s.MaxBatchBytes = 1 // a batch for every sample
	release := make(chan struct{})
	var calls atomic.Int64
	r := startFaulty(t, s, &faulty{}, func(context.Context, pprofile.Profiles) error {
		calls.Add(1)
		<-release
		return nil
	})
	require.Eventually(t, func() bool { return calls.Load() > 0 }, 10*time.Second, 10*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, r.Shutdown(ctx), "busy with a call of ConsumeProfiles")
	before := calls.Load()
	close(release)
	time.Sleep(200 * time.Millisecond)
	require.Equal(t, before, calls.Load())
}

func TestAGracePeriodThatHangsAtTheEnd(t *testing.T) {
	f := &faulty{hang: 6 * time.Second}
	r := startFaulty(t, fast(), f, nop)
	ledger := receiver.ReadLedger(r)
	time.Sleep(500 * time.Millisecond)
	begin := time.Now()
	require.NoError(t, r.Shutdown(t.Context()))
	require.Less(t, time.Since(begin), 8*time.Second)
	requireClosed(t, ledger())
	require.Equal(t, ledger().Taken, ledger().Delivered, "what was read is delivered all the same")
	require.Zero(t, f.drainedClosed.Load())
	time.Sleep(2 * time.Second) // the barrier that was left to finish
}
