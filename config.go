// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package ebpfprofilerreceiver

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/demangle"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/source"
)

const (
	maxSamplesPerSecond = 10_000
	minReporterInterval = time.Second
	// maxReporterJitter leaves a window some length.
	maxReporterJitter = 0.9
	minPollInterval   = 10 * time.Millisecond
	maxPollInterval   = time.Second
	// minRingBufferSize is the smallest page of all platforms. Where pages are
	// larger, opening the rings reports a size below one page: Validate gives the
	// same answer on every machine.
	minRingBufferSize = 4096
	maxRingBufferSize = 1 << 30
	// maxMaxProcesses is the kernel's own limit on PIDs (PID_MAX_LIMIT).
	maxMaxProcesses  = 4_194_304
	minMaxBatchBytes = 65_536
	// maxIncludeEnvVars keeps a resource well below the smallest batch.
	maxIncludeEnvVars = 64
	// The C library and its debug information in use take some megabytes.
	minSymbolCacheSize = 8 << 20
	maxSymbolCacheSize = 16 << 30
	// maxDebugDirectories bounds what is tried for each file.
	maxDebugDirectories = 16
)

// Config is the receiver's section of the collector's configuration.
type Config struct {
	// SamplesPerSecond is how often every CPU is sampled.
	SamplesPerSecond int `mapstructure:"samples_per_second"`
	// ReporterInterval is the length of a window: how often profiles are sent.
	ReporterInterval time.Duration `mapstructure:"reporter_interval"`
	// ReporterJitter is the fraction of ReporterInterval by which windows are longer or
	// shorter, at random.
	ReporterJitter float64 `mapstructure:"reporter_jitter"`
	// CPUs lists the CPUs that are sampled; "" means all.
	CPUs string `mapstructure:"cpus"`
	// ProbabilisticThreshold is the probability, in percent, that the host is sampled in
	// an interval of length ProbabilisticInterval.
	ProbabilisticThreshold int           `mapstructure:"probabilistic_threshold"`
	ProbabilisticInterval  time.Duration `mapstructure:"probabilistic_interval"`
	// Filter says which processes are profiled.
	Filter FilterConfig `mapstructure:"filter"`
	// PollInterval is how often the kernel's buffers are drained.
	PollInterval time.Duration `mapstructure:"poll_interval"`
	// CompletionInterval is how often the receiver establishes up to which moment
	// it has seen everything.
	CompletionInterval time.Duration `mapstructure:"completion_interval"`
	// RingBufferSize is in bytes per CPU; 0 derives it from the sampling rate and
	// the poll interval.
	RingBufferSize int `mapstructure:"ring_buffer_size"`
	// MaxProcesses bounds the process table.
	MaxProcesses int `mapstructure:"max_processes"`
	// MaxBatchBytes bounds the encoded size of what one ConsumeProfiles call gets.
	MaxBatchBytes int `mapstructure:"max_batch_bytes"`
	// RootPath is where the host's root file system is mounted.
	RootPath string `mapstructure:"root_path"`
	// ProcessCommandArgs adds the arguments of processes, which may hold secrets.
	ProcessCommandArgs bool `mapstructure:"process_command_args"`
	// IncludeEnvVars are the names of environment variables of processes to add.
	IncludeEnvVars []string `mapstructure:"include_env_vars"`
	// ServiceEnvVars adds what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES of processes say
	// of their service, ProcessContext what they publish of it (OTEP 4719).
	ServiceEnvVars bool `mapstructure:"service_env_vars"`
	ProcessContext bool `mapstructure:"process_context"`
	// ResourceBy says what a resource is: process, container or host.
	ResourceBy string `mapstructure:"resource_by"`
	// SampleAttributes are those that samples have.
	SampleAttributes []string `mapstructure:"sample_attributes"`
	// ServiceNameOnSamples repeats service.name on samples.
	ServiceNameOnSamples bool `mapstructure:"service_name_on_samples"`
	// DebugDirectories are where separate debug files are, below the root path.
	DebugDirectories []string `mapstructure:"debug_directories"`
	// KernelNames, NativeNames, InlineFrames, GoNames and JITNames say what is named on the
	// host: the kernel, native code by its symbols and by its debug information, Go code, and
	// code that is made at run time. A backend can name the rest.
	KernelNames  bool `mapstructure:"kernel_names"`
	NativeNames  bool `mapstructure:"native_names"`
	InlineFrames bool `mapstructure:"inline_frames"`
	GoNames      bool `mapstructure:"go_names"`
	JITNames     bool `mapstructure:"jit_names"`
	// SymbolCacheSize bounds what is kept of executable files, in bytes.
	SymbolCacheSize int `mapstructure:"symbol_cache_size"`
	// Demangle says how names of C++ and Rust are shown: none, simplified or full.
	Demangle string `mapstructure:"demangle"`
	// CompletionListeners are extensions that are told of completions.
	CompletionListeners []component.ID `mapstructure:"completion_listeners"`

	// prevent unkeyed literal initialization
	_ struct{}
}

var (
	_ confmap.Validator   = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

// Unmarshal lets a single CPU be a number in YAML.
func (c *Config) Unmarshal(conf *confmap.Conf) error { return unmarshal(conf, c, "cpus") }

func createDefaultConfig() component.Config {
	return &Config{
		SamplesPerSecond:       19,
		ReporterInterval:       5 * time.Second,
		ProbabilisticThreshold: 100,
		ProbabilisticInterval:  time.Minute,
		PollInterval:           250 * time.Millisecond,
		CompletionInterval:     500 * time.Millisecond,
		MaxProcesses:           32_768,
		MaxBatchBytes:          3 << 20,
		RootPath:               "/",
		ServiceEnvVars:         true,
		ProcessContext:         true,
		ResourceBy:             string(pipeline.ByProcess),
		SampleAttributes:       []string{pipeline.ThreadName},
		DebugDirectories:       []string{"/usr/lib/debug"},
		KernelNames:            true,
		NativeNames:            true,
		InlineFrames:           true,
		GoNames:                true,
		JITNames:               true,
		SymbolCacheSize:        128 << 20,
		Demangle:               string(demangle.Simplified),
	}
}

// Validate reports every value that is out of range. It looks at nothing but c.
func (c *Config) Validate() error {
	return errors.Join(
		inRange("samples_per_second", c.SamplesPerSecond, 1, maxSamplesPerSecond),
		atLeast("reporter_interval", c.ReporterInterval, minReporterInterval),
		inRange("reporter_jitter", c.ReporterJitter, 0, maxReporterJitter),
		c.validateCPUs(),
		inRange("probabilistic_threshold", c.ProbabilisticThreshold, 1, 100),
		atLeast("probabilistic_interval", c.ProbabilisticInterval, minReporterInterval),
		inRange("poll_interval", c.PollInterval, minPollInterval, maxPollInterval),
		c.validateCompletionInterval(),
		c.validateRingBufferSize(),
		inRange("max_processes", c.MaxProcesses, 1, maxMaxProcesses),
		atLeast("max_batch_bytes", c.MaxBatchBytes, minMaxBatchBytes),
		c.validateRootPath(),
		c.validateIncludeEnvVars(),
		oneOf("resource_by", c.ResourceBy, pipeline.Resources),
		c.validateCommandArgs(),
		c.validateSampleAttributes(),
		c.validateDebugDirectories(),
		inRange("symbol_cache_size", c.SymbolCacheSize, minSymbolCacheSize, maxSymbolCacheSize),
		oneOf("demangle", c.Demangle, demangle.Modes),
		c.validateCompletionListeners(),
	)
}

func (c *Config) validateCompletionInterval() error {
	if c.CompletionInterval >= c.PollInterval && c.CompletionInterval <= c.ReporterInterval {
		return nil
	}
	return fmt.Errorf("completion_interval: %v is out of range, want poll_interval (%v) to reporter_interval (%v)",
		c.CompletionInterval, c.PollInterval, c.ReporterInterval)
}

func (c *Config) validateCPUs() error {
	if _, err := source.ParseCPUs(c.CPUs); c.CPUs != "" && err != nil {
		return fmt.Errorf("cpus: %q is out of range, want numbers and ranges of CPUs such as \"0-3,8\"", c.CPUs)
	}
	return nil
}

func (c *Config) validateRingBufferSize() error {
	n := c.RingBufferSize
	powerOfTwo := n&(n-1) == 0
	if n == 0 || (powerOfTwo && n >= minRingBufferSize && n <= maxRingBufferSize) {
		return nil
	}
	return fmt.Errorf("ring_buffer_size: %d is out of range, want 0 or a power of two from %d to %d",
		n, minRingBufferSize, maxRingBufferSize)
}

func (c *Config) validateRootPath() error {
	if path.IsAbs(c.RootPath) {
		return nil
	}
	return fmt.Errorf("root_path: %q is out of range, want an absolute path", c.RootPath)
}

func (c *Config) validateIncludeEnvVars() error {
	var errs []error
	if n := len(c.IncludeEnvVars); n > maxIncludeEnvVars {
		errs = append(errs, fmt.Errorf("include_env_vars: %d names are out of range, want at most %d", n, maxIncludeEnvVars))
	}
	seen := make(map[string]bool, len(c.IncludeEnvVars))
	for _, name := range c.IncludeEnvVars {
		if name == "" || strings.ContainsAny(name, "=,\x00") || seen[name] {
			errs = append(errs, fmt.Errorf("include_env_vars: %q is out of range, want exact names of variables, each once", name))
		}
		seen[name] = true
	}
	return errors.Join(errs...)
}

func (c *Config) validateDebugDirectories() error {
	var errs []error
	if n := len(c.DebugDirectories); n > maxDebugDirectories {
		errs = append(errs, fmt.Errorf("debug_directories: %d are out of range, want at most %d", n, maxDebugDirectories))
	}
	seen := make(map[string]bool, len(c.DebugDirectories))
	for _, d := range c.DebugDirectories {
		if !path.IsAbs(d) || seen[path.Clean(d)] {
			errs = append(errs, fmt.Errorf("debug_directories: %q is out of range, want absolute paths, each once", d))
		}
		seen[path.Clean(d)] = true
	}
	return errors.Join(errs...)
}

// validateCommandArgs: a list is no attribute of a sample that backends take.
func (c *Config) validateCommandArgs() error {
	if !c.ProcessCommandArgs || c.ResourceBy == string(pipeline.ByProcess) {
		return nil
	}
	return fmt.Errorf("process_command_args: true is out of range, want false where resource_by is not %s", pipeline.ByProcess)
}

func (c *Config) validateSampleAttributes() error {
	var errs []error
	for i, key := range c.SampleAttributes {
		if !slices.Contains(pipeline.OfSamples, key) || slices.Contains(c.SampleAttributes[:i], key) {
			errs = append(errs, fmt.Errorf("sample_attributes: %q is out of range, want some of %v, each once", key, pipeline.OfSamples))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) validateCompletionListeners() error {
	seen := make(map[component.ID]bool, len(c.CompletionListeners))
	var errs []error
	for _, id := range c.CompletionListeners {
		if seen[id] {
			errs = append(errs, fmt.Errorf("completion_listeners: %q is out of range, want every extension once", id))
		}
		seen[id] = true
	}
	return errors.Join(errs...)
}

func oneOf[T ~string](key, v string, all []T) error {
	if slices.Contains(all, T(v)) {
		return nil
	}
	return fmt.Errorf("%s: %q is out of range, want one of %v", key, v, all)
}

type number interface{ int | float64 | time.Duration }

func inRange[T number](key string, v, low, high T) error {
	if v >= low && v <= high {
		return nil
	}
	return fmt.Errorf("%s: %v is out of range, want %v to %v", key, v, low, high)
}

func atLeast[T number](key string, v, low T) error {
	if v >= low {
		return nil
	}
	return fmt.Errorf("%s: %v is out of range, want at least %v", key, v, low)
}
