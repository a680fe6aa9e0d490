// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/xconsumer"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/collector/receiver/receiverhelper"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
)

// What a batch lacks counts only if the batch is delivered.
func TestFramesOfLostBatchesAreNotDelivered(t *testing.T) {
	obs, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverCreateSettings: metadatatest.NewSettings(componenttest.NewTelemetry()),
	})
	require.NoError(t, err)
	for refused, unnamed := range map[bool]uint64{true: 0, false: 2} {
		next, err := xconsumer.NewProfiles(func(context.Context, pprofile.Profiles) error {
			if refused {
				return consumererror.NewPermanent(errors.New("no"))
			}
			return nil
		})
		require.NoError(t, err)
		p := pipeline.New(pipeline.Settings{Interval: time.Second, MaxHoldBytes: 1 << 20, MaxProcesses: 9})
		p.Batch(&event.Batch{Samples: []event.Sample{{KTime: 1, Proc: event.ProcID{PID: 7, Start: 1}, User: []uint64{16, 32}}}})
		closed := p.Flush(2)
		require.Len(t, closed, 1)
		e := &emitter{
			next: next, obs: obs, health: &health{report: func(*componentstatus.Event) {}},
			settings: profile.Settings{Period: time.Second, MaxBatchBytes: 1 << 20},
		}
		d := e.deliver(t.Context(), closed[0], 0)
		require.Equal(t, unnamed, d.unnamed)
	}
}
