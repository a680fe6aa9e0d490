// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// greet logs once what the receiver works with, and what of it will be less than was
// configured.
func greet(log *zap.Logger, s Settings, buffers int, took time.Duration, degradations []error) {
	level, less := zapcore.InfoLevel, make([]string, len(degradations))
	for i, err := range degradations {
		level, less[i] = zapcore.WarnLevel, err.Error()
	}
	log.Log(level, "Profiling this host", append(s.fields(),
		zap.Int("buffers", buffers),
		zap.Int("hold_bytes", s.holdBytes()),
		zap.Stringer("took", took.Round(time.Millisecond)),
		zap.Strings("degradations", less))...)
}

// fields are the settings by the keys of the configuration.
func (s Settings) fields() []zap.Field {
	listeners := make([]string, len(s.CompletionListeners))
	for i, id := range s.CompletionListeners {
		listeners[i] = id.String()
	}
	return []zap.Field{
		zap.Int("samples_per_second", s.SamplesPerSecond),
		zap.Stringer("reporter_interval", s.ReporterInterval),
		zap.Float64("reporter_jitter", s.ReporterJitter),
		zap.String("cpus", strings.Trim(strings.Join(strings.Fields(fmt.Sprint(s.CPUs)), ","), "[]")),
		zap.Int("probabilistic_threshold", s.Lottery.Threshold),
		zap.Stringer("probabilistic_interval", s.Lottery.Interval),
		zap.Stringers("filter::include", s.Filter.Include),
		zap.Stringers("filter::exclude", s.Filter.Exclude),
		zap.Stringer("filter::min_process_age", s.Filter.MinAge),
		zap.Stringer("poll_interval", s.PollInterval),
		zap.Stringer("completion_interval", s.CompletionInterval),
		zap.Int("ring_buffer_size", s.RingBufferSize),
		zap.Int("max_processes", s.MaxProcesses),
		zap.Int("max_batch_bytes", s.MaxBatchBytes),
		zap.String("root_path", s.RootPath),
		zap.Bool("process_command_args", s.CommandArgs),
		zap.Strings("include_env_vars", s.Variables),
		zap.Bool("service_env_vars", s.ServiceVariables),
		zap.Bool("process_context", s.ProcessContext),
		zap.String("resource_by", string(s.Placement.ResourceBy)),
		zap.Strings("sample_attributes", s.Placement.Samples),
		zap.Bool("service_name_on_samples", s.Placement.Service),
		zap.Strings("debug_directories", s.DebugDirectories),
		zap.Bool("kernel_names", s.Names.Kernel),
		zap.Bool("native_names", s.Names.Native),
		zap.Bool("inline_frames", s.Names.Inline),
		zap.Bool("go_names", s.Names.Go),
		zap.Bool("jit_names", s.Names.JIT),
		zap.Int("symbol_cache_size", s.SymbolCacheSize),
		zap.String("demangle", string(s.Demangle)),
		zap.Strings("completion_listeners", listeners),
	}
}
