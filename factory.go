// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package ebpfprofilerreceiver

import (
	"context"
	"fmt"
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer/xconsumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/xreceiver"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/demangle"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadata"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/source"
	profiler "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

// openSource opens the kernel side. Tests put a fake in its place.
var openSource profiler.OpenSource = profiler.OpenKernel

// Option changes what the factory makes. It serves Go programs that embed the
// receiver; in a configuration, completion_listeners does the same.
type Option func(*factory)

// WithListener tells l of the completions of every receiver the factory makes.
func WithListener(l completion.Listener) Option {
	return func(f *factory) { f.listeners = append(f.listeners, l) }
}

// NewFactory returns the factory of the ebpf_profiler receiver.
func NewFactory(opts ...Option) receiver.Factory {
	f := &factory{}
	for _, opt := range opts {
		opt(f)
	}
	return xreceiver.NewFactory(metadata.Type, createDefaultConfig,
		xreceiver.WithProfiles(f.createProfiles, metadata.ProfilesStability))
}

type factory struct {
	listeners []completion.Listener
}

func (f *factory) createProfiles(
	_ context.Context, set receiver.Settings, cfg component.Config, next xconsumer.Profiles,
) (xreceiver.Profiles, error) {
	c, ok := cfg.(*Config)
	if !ok {
		return nil, fmt.Errorf("ebpf_profiler: configuration is a %T, want one made by CreateDefaultConfig", cfg)
	}
	return profiler.New(set, f.settings(c), openSource, next), nil
}

func (f *factory) settings(c *Config) profiler.Settings {
	cpus, _ := source.ParseCPUs(c.CPUs) // none without a list
	return profiler.Settings{
		SamplesPerSecond:   c.SamplesPerSecond,
		ReporterInterval:   c.ReporterInterval,
		ReporterJitter:     c.ReporterJitter,
		CPUs:               cpus,
		Filter:             c.Filter.settings(),
		Lottery:            profiler.Lottery{Threshold: c.ProbabilisticThreshold, Interval: c.ProbabilisticInterval},
		PollInterval:       c.PollInterval,
		CompletionInterval: c.CompletionInterval,
		RingBufferSize:     c.RingBufferSize,
		MaxProcesses:       c.MaxProcesses,
		MaxBatchBytes:      c.MaxBatchBytes,
		RootPath:           c.RootPath,
		CommandArgs:        c.ProcessCommandArgs,
		Variables:          slices.Clone(c.IncludeEnvVars),
		ServiceVariables:   c.ServiceEnvVars,
		ProcessContext:     c.ProcessContext,
		Placement: pipeline.Placement{
			ResourceBy: pipeline.ResourceBy(c.ResourceBy), Service: c.ServiceNameOnSamples, Samples: slices.Clone(c.SampleAttributes),
		},
		DebugDirectories: slices.Clone(c.DebugDirectories),
		Names: profiler.Names{
			Kernel: c.KernelNames, Native: c.NativeNames, Inline: c.InlineFrames, Go: c.GoNames, JIT: c.JITNames,
		},
		SymbolCacheSize:     c.SymbolCacheSize,
		Demangle:            demangle.Mode(c.Demangle),
		CompletionListeners: slices.Clone(c.CompletionListeners),
		Listeners:           slices.Clone(f.listeners),
	}
}
