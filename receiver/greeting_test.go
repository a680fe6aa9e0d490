// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/demangle"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/filter"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/preflight"
)

func TestTheGreetingSaysEverything(t *testing.T) {
	one := uint32(1)
	s := Settings{
		SamplesPerSecond:   19,
		ReporterInterval:   5 * time.Second,
		PollInterval:       250 * time.Millisecond,
		CompletionInterval: 500 * time.Millisecond,
		RingBufferSize:     4096,
		ReporterJitter:     0.2,
		CPUs:               []int{0, 1, 7},
		Lottery:            Lottery{Threshold: 25, Interval: time.Minute},
		Filter: Filter{
			Include: []Rule{{Rule: filter.Rule{Comm: "a*", PID: &one}}, {UserName: "www"}},
			Exclude: []Rule{{Rule: filter.Rule{Executable: "/x", Cgroup: "/y", Container: "0123456789ab", User: &one}}},
			MinAge:  time.Second,
		},
		MaxProcesses:        100,
		MaxBatchBytes:       3 << 20,
		RootPath:            "/hostfs",
		CommandArgs:         true,
		Variables:           []string{"COLOR"},
		ProcessContext:      true,
		DebugDirectories:    []string{"/usr/lib/debug"},
		Names:               Names{Kernel: true, Inline: true, JIT: true},
		SymbolCacheSize:     8 << 20,
		Demangle:            demangle.Simplified,
		Placement:           pipeline.Placement{ResourceBy: pipeline.ByContainer, Samples: []string{"thread.id"}},
		CompletionListeners: []component.ID{component.MustNewIDWithName("a", "b")},
	}
	said := map[string]any{
		"samples_per_second": int64(19),
		"reporter_interval":  "5s",
		"poll_interval":      "250ms",
		"reporter_jitter":    0.2,
		"cpus":               "0,1,7",

		"probabilistic_threshold": int64(25),
		"probabilistic_interval":  "1m0s",
		"filter::include":         []any{"{comm: a*, pid: 1}", "{user: www}"},
		"filter::exclude":         []any{"{executable: /x, cgroup: /y, container: 0123456789ab, user: 1}"},
		"filter::min_process_age": "1s",

		"completion_interval":     "500ms",
		"ring_buffer_size":        int64(4096),
		"max_processes":           int64(100),
		"max_batch_bytes":         int64(3 << 20),
		"root_path":               "/hostfs",
		"process_command_args":    true,
		"include_env_vars":        []any{"COLOR"},
		"service_env_vars":        false,
		"process_context":         true,
		"resource_by":             "container",
		"sample_attributes":       []any{"thread.id"},
		"service_name_on_samples": false,
		"debug_directories":       []any{"/usr/lib/debug"},
		"kernel_names":            true,
		"native_names":            false,
		"inline_frames":           true,
		"go_names":                false,
		"jit_names":               true,
		"symbol_cache_size":       int64(8 << 20),
		"demangle":                "simplified",
		"completion_listeners":    []any{"a/b"},
		"buffers":                 int64(4),
		"hold_bytes":              int64(s.holdBytes()),
		"took":                    "123ms",
	}
	for _, test := range []struct {
		degradations []error
		level        zapcore.Level
		less         []any
	}{
		{nil, zapcore.InfoLevel, []any{}},
		{[]error{errors.New("no names"), errors.New("no containers")}, zapcore.WarnLevel, []any{"no names", "no containers"}},
	} {
		core, logs := observer.New(zapcore.InfoLevel)
		greet(zap.New(core), s, 4, 123_456*time.Microsecond, test.degradations)
		require.Equal(t, 1, logs.Len())
		said["degradations"] = test.less
		require.Equal(t, test.level, logs.All()[0].Level)
		require.Equal(t, said, logs.All()[0].ContextMap())
	}
}

// groups is a reader that tells containers or not.
type groups struct {
	reader
	containers bool
}

func (r groups) tellsContainers() bool { return r.containers }

func TestDegradations(t *testing.T) {
	s := Settings{SamplesPerSecond: 1}
	before := s.degradations(groups{containers: true})
	require.NotContains(t, before, errControlGroups)
	require.Equal(t, preflight.OwnersFiles() == nil, slices.Contains(s.degradations(groups{}), errControlGroups))
	s.SamplesPerSecond = 1 << 30
	after := s.degradations(groups{containers: true})
	require.Len(t, after, len(before)+1)
	require.ErrorContains(t, after[0], "beyond the kernel's limit")
}
