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
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// statusHost keeps the statuses that are reported to it.
type statusHost struct {
	component.Host
	events chan *componentstatus.Event
}

func (h statusHost) Report(e *componentstatus.Event) { h.events <- e }

func TestAChangeOfHealthIsReportedOnce(t *testing.T) {
	f, refuse := &faulty{}, atomic.Bool{}
	host := statusHost{componenttest.NewNopHost(), make(chan *componentstatus.Event, 100)}
	r := startOn(t, host, fast(), f, func(context.Context, pprofile.Profiles) error {
		if refuse.Load() {
			return errors.New("full")
		}
		return nil
	})
	next := func() *componentstatus.Event {
		t.Helper()
		select {
		case e := <-host.events:
			return e
		case <-time.After(10 * time.Second):
			require.Fail(t, "no status")
			return nil
		}
	}

	f.broken.Store(true)
	e := next()
	require.Equal(t, componentstatus.StatusRecoverableError, e.Status())
	require.EqualError(t, e.Err(), "complete samples: no grace period")
	f.broken.Store(false)
	require.Equal(t, componentstatus.StatusOK, next().Status())

	refuse.Store(true)
	require.EqualError(t, next().Err(), "deliver profiles: full")
	f.broken.Store(true)
	require.EqualError(t, next().Err(), "deliver profiles: full\ncomplete samples: no grace period")
	refuse.Store(false)
	require.EqualError(t, next().Err(), "complete samples: no grace period")
	time.Sleep(500 * time.Millisecond) // many more failed barriers
	require.Empty(t, host.events, "what stays is reported once")
	f.broken.Store(false)
	require.Equal(t, componentstatus.StatusOK, next().Status())
	require.NoError(t, r.Shutdown(t.Context()))
	require.Empty(t, host.events)
}
