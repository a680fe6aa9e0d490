// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package ebpfprofilerreceiver

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadata"
)

func TestDefaultConfig(t *testing.T) {
	cfg := createDefaultConfig()

	require.NoError(t, componenttest.CheckConfigStruct(cfg))
	require.NoError(t, confmap.Validate(cfg))
	assert.Equal(t, &Config{
		SamplesPerSecond:   19,
		ReporterInterval:   5 * time.Second,
		PollInterval:       250 * time.Millisecond,
		CompletionInterval: 500 * time.Millisecond,
		RingBufferSize:     0,
		MaxProcesses:       32768,
		MaxBatchBytes:      3145728,
		RootPath:           "/",
		ServiceEnvVars:     true,
		ProcessContext:     true,
		DebugDirectories:   []string{"/usr/lib/debug"},
		KernelNames:        true,
		NativeNames:        true,
		InlineFrames:       true,
		GoNames:            true,
		JITNames:           true,
		SymbolCacheSize:    134217728,
		Demangle:           "simplified",
	}, cfg)
}

func TestLoadConfig(t *testing.T) {
	assert.Equal(t, createDefaultConfig(), load(t, ""))
	all := load(t, "all")
	require.NoError(t, confmap.Validate(all))
	logType := component.MustNewType("completion_log")
	assert.Equal(t, &Config{
		SamplesPerSecond:   97,
		ReporterInterval:   10 * time.Second,
		PollInterval:       100 * time.Millisecond,
		CompletionInterval: time.Second,
		RingBufferSize:     1 << 20,
		MaxProcesses:       1000,
		MaxBatchBytes:      1_000_000,
		RootPath:           "/hostfs",
		ProcessCommandArgs: true,
		IncludeEnvVars:     []string{"OTEL_SERVICE_NAME", "lower"},
		DebugDirectories:   []string{"/debug", "/usr/lib/debug"},

		ServiceNameOnSamples: true,

		SymbolCacheSize: 64 << 20,
		Demangle:        "full",
		CompletionListeners: []component.ID{
			component.NewID(logType), component.NewIDWithName(logType, "second"),
		},
	}, all)
	require.EqualError(t, confmap.Validate(load(t, "wrong")),
		"samples_per_second: 0 is out of range, want 1 to 10000\n"+
			`root_path: "hostfs" is out of range, want an absolute path`)
	require.ErrorContains(t, section(t, "unknown").Unmarshal(createDefaultConfig()), "samples_per_secund")
}

func load(t *testing.T, name string) component.Config {
	t.Helper()
	cfg := createDefaultConfig()
	require.NoError(t, section(t, name).Unmarshal(cfg))
	return cfg
}

func section(t *testing.T, name string) *confmap.Conf {
	t.Helper()
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	sub, err := conf.Sub(component.NewIDWithName(metadata.Type, name).String())
	require.NoError(t, err)
	return sub
}

func TestValidate(t *testing.T) {
	id := component.MustNewID("completion_log")
	tests := []struct {
		name string
		set  func(*Config)
		want string
	}{
		{"rate below", func(c *Config) { c.SamplesPerSecond = 0 }, "samples_per_second: 0 is out of range, want 1 to 10000"},
		{"rate negative", func(c *Config) { c.SamplesPerSecond = -1 }, "samples_per_second: -1 is out of range, want 1 to 10000"},
		{"rate lowest", func(c *Config) { c.SamplesPerSecond = 1 }, ""},
		{"rate highest", func(c *Config) { c.SamplesPerSecond = 10000 }, ""},
		{"rate above", func(c *Config) { c.SamplesPerSecond = 10001 }, "samples_per_second: 10001 is out of range, want 1 to 10000"},

		{"report below", func(c *Config) { c.ReporterInterval = time.Second - 1 }, "reporter_interval: 999.999999ms is out of range, want at least 1s"},
		{"report lowest", func(c *Config) { c.ReporterInterval = time.Second }, ""},
		{"report long", func(c *Config) { c.ReporterInterval = time.Hour }, ""},

		{"poll below", func(c *Config) { c.PollInterval = 10*time.Millisecond - 1 }, "poll_interval: 9.999999ms is out of range, want 10ms to 1s"},
		{"poll lowest", func(c *Config) { c.PollInterval = 10 * time.Millisecond }, ""},
		{"poll highest", func(c *Config) { c.PollInterval, c.CompletionInterval = time.Second, time.Second }, ""},
		{
			"poll above", func(c *Config) { c.PollInterval, c.CompletionInterval = time.Second+1, 2*time.Second },
			"poll_interval: 1.000000001s is out of range, want 10ms to 1s",
		},

		{
			"completion below", func(c *Config) { c.CompletionInterval = 250*time.Millisecond - 1 },
			"completion_interval: 249.999999ms is out of range, want poll_interval (250ms) to reporter_interval (5s)",
		},
		{"completion lowest", func(c *Config) { c.CompletionInterval = 250 * time.Millisecond }, ""},
		{"completion highest", func(c *Config) { c.CompletionInterval = 5 * time.Second }, ""},
		{
			"completion above", func(c *Config) { c.CompletionInterval = 5*time.Second + 1 },
			"completion_interval: 5.000000001s is out of range, want poll_interval (250ms) to reporter_interval (5s)",
		},

		{"ring negative", func(c *Config) { c.RingBufferSize = -4096 }, "ring_buffer_size: -4096 is out of range, want 0 or a power of two from 4096 to 1073741824"},
		{"ring below", func(c *Config) { c.RingBufferSize = 2048 }, "ring_buffer_size: 2048 is out of range, want 0 or a power of two from 4096 to 1073741824"},
		{"ring lowest", func(c *Config) { c.RingBufferSize = 4096 }, ""},
		{"ring odd", func(c *Config) { c.RingBufferSize = 12288 }, "ring_buffer_size: 12288 is out of range, want 0 or a power of two from 4096 to 1073741824"},
		{"ring highest", func(c *Config) { c.RingBufferSize = 1 << 30 }, ""},
		{"ring above", func(c *Config) { c.RingBufferSize = 1 << 30 * 2 }, "ring_buffer_size: 2147483648 is out of range, want 0 or a power of two from 4096 to 1073741824"},

		{"processes below", func(c *Config) { c.MaxProcesses = 0 }, "max_processes: 0 is out of range, want 1 to 4194304"},
		{"processes lowest", func(c *Config) { c.MaxProcesses = 1 }, ""},
		{"processes highest", func(c *Config) { c.MaxProcesses = 4194304 }, ""},
		{"processes above", func(c *Config) { c.MaxProcesses = 4194305 }, "max_processes: 4194305 is out of range, want 1 to 4194304"},

		{"batch below", func(c *Config) { c.MaxBatchBytes = 65535 }, "max_batch_bytes: 65535 is out of range, want at least 65536"},
		{"batch lowest", func(c *Config) { c.MaxBatchBytes = 65536 }, ""},

		{"debug_directories", func(c *Config) { c.DebugDirectories = []string{"/a", "b", "/a/"} },
			"debug_directories: \"b\" is out of range, want absolute paths, each once\n" +
				"debug_directories: \"/a/\" is out of range, want absolute paths, each once"},
		{"debug_directories", func(c *Config) {
			c.DebugDirectories = strings.Split("/0,/1,/2,/3,/4,/5,/6,/7,/8,/9,/a,/b,/c,/d,/e,/f,/g", ",")
		},
			"debug_directories: 17 are out of range, want at most 16"},
		{"symbol_cache_size", func(c *Config) { c.SymbolCacheSize = 1 }, "symbol_cache_size: 1 is out of range, want 8388608 to 17179869184"},
		{"demangle", func(c *Config) { c.Demangle = "Full" }, `demangle: "Full" is out of range, want one of [none simplified full]`},
		{"root empty", func(c *Config) { c.RootPath = "" }, `root_path: "" is out of range, want an absolute path`},
		{"root relative", func(c *Config) { c.RootPath = "hostfs" }, `root_path: "hostfs" is out of range, want an absolute path`},
		{"root elsewhere", func(c *Config) { c.RootPath = "/hostfs" }, ""},

		{"variables", func(c *Config) { c.IncludeEnvVars = []string{"A", "a", "A B"} }, ""},
		{
			"variables wrong", func(c *Config) { c.IncludeEnvVars = []string{"", "A=B", "A\x00", "C", "C"} },
			`include_env_vars: "" is out of range, want exact names of variables, each once` + "\n" +
				`include_env_vars: "A=B" is out of range, want exact names of variables, each once` + "\n" +
				`include_env_vars: "A\x00" is out of range, want exact names of variables, each once` + "\n" +
				`include_env_vars: "C" is out of range, want exact names of variables, each once`,
		},
		{"variables most", func(c *Config) { c.IncludeEnvVars = names(64) }, ""},
		{
			"variables above", func(c *Config) { c.IncludeEnvVars = names(65) },
			"include_env_vars: 65 names are out of range, want at most 64",
		},

		{"listener", func(c *Config) { c.CompletionListeners = []component.ID{id} }, ""},
		{
			"listener twice", func(c *Config) { c.CompletionListeners = []component.ID{id, id} },
			`completion_listeners: "completion_log" is out of range, want every extension once`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := createDefaultConfig().(*Config)
			tt.set(cfg)
			if tt.want == "" {
				require.NoError(t, cfg.Validate())
				return
			}
			require.EqualError(t, cfg.Validate(), tt.want)
		})
	}
}

func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("NAME_%d", i))
	}
	return all
}
