// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package ebpfprofilerreceiver

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pipeline"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/collector/receiver/xreceiver"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/demangle"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadata"
	profiler "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

type listener struct{ name string }

func (listener) Completed(completion.Completion) {}

func TestFactoryServesProfilesOnly(t *testing.T) {
	f := NewFactory().(xreceiver.Factory)
	ctx, set, cfg := context.Background(), receivertest.NewNopSettings(metadata.Type), f.CreateDefaultConfig()

	assert.Equal(t, "ebpf_profiler", f.Type().String())
	assert.Equal(t, component.StabilityLevelDevelopment, f.ProfilesStability())
	r, err := f.CreateProfiles(ctx, set, cfg, consumertest.NewNop())
	require.NoError(t, err)
	assert.IsType(t, &profiler.Receiver{}, r)
	require.NoError(t, r.Shutdown(ctx))

	_, err = f.CreateTraces(ctx, set, cfg, consumertest.NewNop())
	require.ErrorIs(t, err, pipeline.ErrSignalNotSupported)
	_, err = f.CreateMetrics(ctx, set, cfg, consumertest.NewNop())
	require.ErrorIs(t, err, pipeline.ErrSignalNotSupported)
	_, err = f.CreateLogs(ctx, set, cfg, consumertest.NewNop())
	require.ErrorIs(t, err, pipeline.ErrSignalNotSupported)
}

func TestFactoryRefusesForeignConfig(t *testing.T) {
	f := NewFactory().(xreceiver.Factory)

	_, err := f.CreateProfiles(context.Background(), receivertest.NewNopSettings(metadata.Type),
		struct{}{}, consumertest.NewNop())

	require.EqualError(t, err, "ebpf_profiler: configuration is a struct {}, want one made by CreateDefaultConfig")
}

func TestSettingsCarryEveryKey(t *testing.T) {
	f := &factory{}
	WithListener(listener{"a"})(f)
	WithListener(listener{"b"})(f)
	id := component.MustNewID("completion_log")

	got := f.settings(&Config{
		SamplesPerSecond: 1, ReporterInterval: 2 * time.Second, PollInterval: 3 * time.Millisecond,
		CompletionInterval: 4 * time.Millisecond, RingBufferSize: 5, MaxProcesses: 6, MaxBatchBytes: 7,
		RootPath: "/8", ProcessCommandArgs: true, IncludeEnvVars: []string{"9"}, DebugDirectories: []string{"/10"},
		ServiceEnvVars: true, ProcessContext: false, ServiceNameOnSamples: true,
		ResourceBy: "host", SampleAttributes: []string{"thread.id"},
		NativeNames: true, GoNames: true, SymbolCacheSize: 11, Demangle: "full",
		CompletionListeners: []component.ID{id},
	})

	want := profiler.Settings{
		SamplesPerSecond: 1, ReporterInterval: 2 * time.Second, PollInterval: 3 * time.Millisecond,
		CompletionInterval: 4 * time.Millisecond, RingBufferSize: 5, MaxProcesses: 6, MaxBatchBytes: 7,
		RootPath: "/8", CommandArgs: true, Variables: []string{"9"}, DebugDirectories: []string{"/10"},
		ServiceVariables: true, ProcessContext: false,
		Names: profiler.Names{Native: true, Go: true}, SymbolCacheSize: 11, Demangle: demangle.Full,
		CompletionListeners: []component.ID{id},
		Listeners:           []completion.Listener{listener{"a"}, listener{"b"}},
	}
	want.Placement.ResourceBy, want.Placement.Service, want.Placement.Samples = "host", true, []string{"thread.id"}
	assert.Equal(t, want, got)
}
