// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package ebpfprofilerreceiver

import (
	"fmt"
	"path/filepath"
	"slices"
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
		SamplesPerSecond: 19,
		ReporterInterval: 5 * time.Second,
		PollInterval:     250 * time.Millisecond,

		ProbabilisticThreshold: 100,
		ProbabilisticInterval:  time.Minute,

		CompletionInterval: 500 * time.Millisecond,
		RingBufferSize:     0,
		MaxProcesses:       32768,
		MaxBatchBytes:      3145728,
		RootPath:           "/",
		ServiceEnvVars:     true,
		ProcessContext:     true,
		ResourceBy:         "process",
		SampleAttributes:   []string{"thread.name"},
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
		ReporterJitter:     0.25,
		CPUs:               "0-3,7",

		ProbabilisticThreshold: 30,
		ProbabilisticInterval:  2 * time.Minute,
		Filter: FilterConfig{
			Include: []FilterRule{{Executable: "/usr/bin/*", User: "33"}, {Cgroup: "/kubepods.slice/**"}},
			Exclude: []FilterRule{{Comm: "sh", User: "root"}, {PID: 1}, {Container: "0123456789ab"}},

			MinProcessAge: 10 * time.Second,
		},

		RootPath:         "/hostfs",
		IncludeEnvVars:   []string{"OTEL_SERVICE_NAME", "lower"},
		DebugDirectories: []string{"/debug", "/usr/lib/debug"},

		ResourceBy:           "container",
		SampleAttributes:     []string{"thread.name", "thread.id", "cpu.logical_number", "ebpf_profiler.stack_end"},
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
	numbers := load(t, "numbers").(*Config)
	require.NoError(t, confmap.Validate(numbers))
	require.Equal(t, "3", numbers.CPUs)
	require.Equal(t, []FilterRule{{Container: "123456789012"}, {Comm: "7"}}, numbers.Filter.Include)
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

		{"jitter below", func(c *Config) { c.ReporterJitter = -0.1 }, "reporter_jitter: -0.1 is out of range, want 0 to 0.9"},
		{"jitter highest", func(c *Config) { c.ReporterJitter = 0.9 }, ""},
		{"jitter above", func(c *Config) { c.ReporterJitter = 1 }, "reporter_jitter: 1 is out of range, want 0 to 0.9"},
		{"cpus", func(c *Config) { c.CPUs = "0-3,8" }, ""},
		{"cpus wrong", func(c *Config) { c.CPUs = "3-1" }, `cpus: "3-1" is out of range, want numbers and ranges of CPUs such as "0-3,8"`},
		{"threshold below", func(c *Config) { c.ProbabilisticThreshold = 0 }, "probabilistic_threshold: 0 is out of range, want 1 to 100"},
		{"threshold above", func(c *Config) { c.ProbabilisticThreshold = 101 }, "probabilistic_threshold: 101 is out of range, want 1 to 100"},
		{"draws lowest", func(c *Config) { c.ProbabilisticInterval = time.Second }, ""},
		{"draws below", func(c *Config) { c.ProbabilisticInterval = time.Second - 1 }, "probabilistic_interval: 999.999999ms is out of range, want at least 1s"},

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
		{"resource_by", func(c *Config) { c.ResourceBy = "pod" }, `resource_by: "pod" is out of range, want one of [process container host]`},
		{"process_command_args on samples", func(c *Config) { c.ResourceBy, c.ProcessCommandArgs = "host", true },
			"process_command_args: true is out of range, want false where resource_by is not process"},
		{"sample_attributes unknown", func(c *Config) { c.SampleAttributes = []string{"thread.id", "pid"} },
			`sample_attributes: "pid" is out of range, want some of [thread.name thread.id cpu.logical_number ebpf_profiler.stack_end], each once`},
		{"sample_attributes twice", func(c *Config) { c.SampleAttributes = []string{"thread.id", "thread.id"} },
			`sample_attributes: "thread.id" is out of range, want some of [thread.name thread.id cpu.logical_number ebpf_profiler.stack_end], each once`},
		{"demangle", func(c *Config) { c.Demangle = "Full" }, `demangle: "Full" is out of range, want one of [none simplified full]`},
		{"root empty", func(c *Config) { c.RootPath = "" }, `root_path: "" is out of range, want an absolute path`},
		{"root relative", func(c *Config) { c.RootPath = "hostfs" }, `root_path: "hostfs" is out of range, want an absolute path`},
		{"root elsewhere", func(c *Config) { c.RootPath = "/hostfs" }, ""},

		{"variables", func(c *Config) { c.IncludeEnvVars = []string{"A", "a", "A B"} }, ""},
		{
			"variables wrong", func(c *Config) { c.IncludeEnvVars = []string{"", "A=B", "A,B", "A\x00", "C", "C"} },
			`include_env_vars: "" is out of range, want exact names of variables, each once` + "\n" +
				`include_env_vars: "A=B" is out of range, want exact names of variables, each once` + "\n" +
				`include_env_vars: "A,B" is out of range, want exact names of variables, each once` + "\n" +
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

func TestValidateFilter(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		filter     FilterConfig
	}{
		{"all", "", FilterConfig{Include: []FilterRule{{Executable: "/a/{b,c}/*", Comm: "k*", Cgroup: "/**", Container: "0123456789ab", PID: 1, User: "root"}}}},
		{"age", "filter: min_process_age: -1s is out of range, want at least 0s", FilterConfig{MinProcessAge: -time.Second}},
		{"many", "filter: exclude: 257 is out of range, want 0 to 256", FilterConfig{Exclude: slices.Repeat([]FilterRule{{PID: 1}}, 257)}},
		{"nothing", "filter::include::0: a rule that asks for nothing is out of range, want executable, comm, cgroup, container, pid or user", FilterConfig{Include: []FilterRule{{}}}},
		{"relative", `filter::exclude::1: executable: "sh" matches no path, want a pattern that begins with / or **`, FilterConfig{Exclude: []FilterRule{{PID: 1}, {Executable: "sh"}}}},
		{"pattern", `filter::include::0: comm: "[a" is no pattern, want pairs of [] and {}, and \ before them where they are meant`, FilterConfig{Include: []FilterRule{{Comm: "[a"}}}},
		{"long", `filter::include::0: comm: "sixteen-letters!" matches no process, want at most 15 bytes, which is what the kernel keeps`, FilterConfig{Include: []FilterRule{{Comm: "sixteen-letters!"}}}},
		{"machine", "", FilterConfig{Include: []FilterRule{{Container: "web"}}}},
		{"container", `filter::include::0: container: "web*" is no container, want a name of letters, digits, dots, - and _, or an ID or its first digits, at least 12`, FilterConfig{Include: []FilterRule{{Container: "web*"}}}},
		{"pid", "filter::include::0: pid: 4194305 is out of range, want 0 to 4194304", FilterConfig{Include: []FilterRule{{PID: 4194305}}}},
		{"user", "filter::include::0: user: 4294967295 is out of range, want a name or a number from 0 to 4294967294", FilterConfig{Include: []FilterRule{{User: "4294967295"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := createDefaultConfig().(*Config)
			cfg.Filter = tt.filter
			if tt.want == "" {
				require.NoError(t, confmap.Validate(cfg))
				return
			}
			require.EqualError(t, confmap.Validate(cfg), tt.want)
		})
	}
}

func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("NAME_%d", i))
	}
	return all
}
