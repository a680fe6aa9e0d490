// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/sourcetest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

// diary notes completions and deliveries in the order they happen.
type diary struct {
	mu        sync.Mutex
	completed []completion.Completion
	// broken are timestamps that were delivered after a completion covered them.
	broken int
	slow   time.Duration
}

func (d *diary) Start(context.Context, component.Host) error { return nil }
func (d *diary) Shutdown(context.Context) error              { return nil }

func (d *diary) Completed(c completion.Completion) {
	time.Sleep(d.slow)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.completed = append(d.completed, c)
}

// deliver compares with the newest completion. The fake's first sample is at one
// period after the first time of its clock, and windows keep their distances, so
// KTime is the distance to the first timestamp ever.
func (d *diary) deliver(first uint64, stamps []uint64, period event.KTime) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.completed) == 0 {
		return
	}
	until := d.completed[len(d.completed)-1].Until
	for _, stamp := range stamps {
		if ktime := event.KTime(time.Second) + period + event.KTime(stamp-first); ktime+event.KTime(time.Millisecond) <= until {
			d.broken++
		}
	}
}

func TestListenersHearOfWhatWasDelivered(t *testing.T) {
	s := fast()
	d := &diary{}
	s.Listeners = []completion.Listener{d}
	period := event.KTime(time.Second) / event.KTime(s.SamplesPerSecond)
	var first uint64
	r := start(t, s, func(_ context.Context, p pprofile.Profiles) error {
		time.Sleep(300 * time.Millisecond)
		stamps := p.ResourceProfiles().At(0).ScopeProfiles().At(0).Profiles().At(0).Samples().At(0).TimestampsUnixNano().AsRaw()
		if first == 0 {
			first = stamps[0]
		}
		d.deliver(first, stamps, period)
		return nil
	})
	time.Sleep(3 * time.Second)
	ledger := receiver.ReadLedger(r)
	require.NoError(t, r.Shutdown(t.Context()))
	require.Positive(t, ledger().Delivered)
	require.Zero(t, d.broken)
	require.Greater(t, len(d.completed), 3)
	for i, c := range d.completed[1:] {
		require.Greater(t, c.Until, d.completed[i].Until)
		require.Equal(t, "ebpf_profiler", c.Receiver.Type().String())
	}
	// The last completion covers everything: sampling ran for three seconds.
	require.Greater(t, d.completed[len(d.completed)-1].Until, event.KTime(time.Second)+event.KTime(3*time.Second))
}

func TestASlowListenerMissesOnlyOldCompletions(t *testing.T) {
	s := fast()
	quick, slow := &diary{}, &diary{slow: 1500 * time.Millisecond}
	s.Listeners = []completion.Listener{quick, slow}
	r := start(t, s, func(context.Context, pprofile.Profiles) error { return nil })
	time.Sleep(2500 * time.Millisecond)
	require.NoError(t, r.Shutdown(t.Context()))
	require.Less(t, len(slow.completed), len(quick.completed))
	require.Equal(t, quick.completed[len(quick.completed)-1], slow.completed[len(slow.completed)-1])
}

// host has extensions.
type host map[component.ID]component.Component

func (h host) GetExtensions() map[component.ID]component.Component { return h }

type deaf struct{ component.StartFunc }

func (deaf) Shutdown(context.Context) error { return nil }

func TestCompletionListenersAreExtensions(t *testing.T) {
	d := &diary{}
	id := component.MustNewID("listener")
	for name, tc := range map[string]struct {
		host host
		want string
	}{
		"there":       {host{id: d}, ""},
		"absent":      {host{}, `there is no extension "listener"`},
		"no listener": {host{id: deaf{}}, `"listener" does not listen`},
	} {
		t.Run(name, func(t *testing.T) {
			s := fast()
			s.CompletionListeners = []component.ID{id}
			r := receiver.New(metadatatest.NewSettings(componenttest.NewTelemetry()), s, sourcetest.Open, consumertest.NewNop())
			err := r.Start(t.Context(), tc.host)
			if tc.want != "" {
				require.ErrorContains(t, err, tc.want)
			} else {
				require.NoError(t, err)
			}
			require.NoError(t, r.Shutdown(t.Context()))
		})
	}
}
