// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ebpfprofilerreceiver

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/collector/receiver/xreceiver"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadata"
)

func TestTheLogShowsEveryOption(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	set := receivertest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	f := NewFactory().(xreceiver.Factory)
	r, err := f.CreateProfiles(t.Context(), set, f.CreateDefaultConfig(), consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, r.Shutdown(t.Context()))

	said := logs.FilterMessage("Profiling this host").All()
	require.Len(t, said, 1)
	fields := said[0].ContextMap()
	eachOption(func(key string, value any) {
		got, ok := fields[key]
		assert.True(t, ok, "%s is not shown", key)
		assert.Equal(t, plain(t, shown(value)), plain(t, got), key)
	})
}
