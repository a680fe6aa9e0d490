// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package ebpfprofilerreceiver

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.yaml.in/yaml/v3"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/demangle"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
)

var update = flag.Bool("update", false, "write config.schema.json")

const schemaFile = "config.schema.json"

// row is what README says of an option.
type row struct{ Default, Range, Meaning string }

// options are the rows of the table in README, by key.
func options(t *testing.T) map[string]row {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(text), "| key | default | range | meaning |\n|---|---|---|---|\n")
	require.True(t, found)
	out := map[string]row{}
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(strings.ReplaceAll(line, "`", ""), "|\n"), "|")
		require.Len(t, cells, 4, line)
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		for key := range strings.SplitSeq(cells[0], ", ") {
			out[key] = row{cells[1], cells[2], cells[3]}
		}
	}
	return out
}

// eachOption calls f with the key and the default of every option; those of a section
// have keys such as section::option.
func eachOption(f func(key string, value any)) {
	eachField(reflect.ValueOf(createDefaultConfig()).Elem(), "", f)
}

func eachField(c reflect.Value, section string, f func(key string, value any)) {
	for i := range c.NumField() {
		key := c.Type().Field(i).Tag.Get("mapstructure")
		switch {
		case key == "":
		case c.Field(i).Kind() == reflect.Struct:
			eachField(c.Field(i), section+key+"::", f)
		default:
			f(section+key, c.Field(i).Interface())
		}
	}
}

// shown is a value as a configuration has it.
func shown(value any) any {
	if d, ok := value.(time.Duration); ok {
		return d.String()
	}
	if v := reflect.ValueOf(value); v.Kind() == reflect.Slice && v.IsNil() {
		return []any{}
	}
	return value
}

func TestREADMEHasEveryOption(t *testing.T) {
	rows := options(t)
	eachOption(func(key string, value any) {
		said, ok := rows[key]
		require.True(t, ok, "README has no row for %s", key)
		delete(rows, key)
		assert.Equal(t, fmt.Sprint(shown(value)), said.Default, key)
	})
	assert.Empty(t, rows, "README has rows for what is no option")
}

// object is a piece of a schema.
type object map[string]any

// bounds are what a schema can say of values, beside their type. Of durations it says
// nothing: some limits are other options.
func bounds() map[string]object {
	rings := []int{0}
	for size := minRingBufferSize; size <= maxRingBufferSize; size *= 2 {
		rings = append(rings, size)
	}
	number := object{"type": "integer"}
	rules := object{"maxItems": maxFilterRules, "uniqueItems": false, "items": object{
		"type": "object", "minProperties": 1, "additionalProperties": false,
		"properties": object{
			"executable": object{"type": "string", "pattern": `^(/|\*\*)`},
			"comm":       object{"type": "string", "minLength": 1},
			"cgroup":     object{"type": "string", "pattern": `^(/|\*\*)`},
			"container":  object{"type": "string", "pattern": "^[-0-9A-Za-z_.]{1,64}$"},
			"pid":        object{"type": "integer", "minimum": 1, "maximum": maxMaxProcesses},
			"user":       object{"anyOf": []object{{"type": "string", "minLength": 1}, number}},
		},
	}}
	return map[string]object{
		"reporter_jitter":         {"type": "number", "minimum": 0, "maximum": maxReporterJitter},
		"cpus":                    {"pattern": "^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?$"},
		"probabilistic_threshold": {"minimum": 1, "maximum": 100},
		"filter::include":         rules,
		"filter::exclude":         rules,

		"samples_per_second":   {"minimum": 1, "maximum": maxSamplesPerSecond},
		"ring_buffer_size":     {"enum": rings},
		"max_processes":        {"minimum": 1, "maximum": maxMaxProcesses},
		"max_batch_bytes":      {"minimum": minMaxBatchBytes},
		"root_path":            {"pattern": "^/"},
		"include_env_vars":     {"maxItems": maxIncludeEnvVars, "items": object{"type": "string", "pattern": "^[^=,]+$"}},
		"debug_directories":    {"maxItems": maxDebugDirectories, "items": object{"type": "string", "pattern": "^/"}},
		"symbol_cache_size":    {"minimum": minSymbolCacheSize, "maximum": maxSymbolCacheSize},
		"resource_by":          {"enum": pipeline.Resources},
		"sample_attributes":    {"items": object{"enum": pipeline.OfSamples}},
		"demangle":             {"enum": demangle.Modes},
		"completion_listeners": {"items": object{"type": "string"}},
	}
}

// typed is the type of a value.
func typed(value any) object {
	switch value.(type) {
	case time.Duration:
		return object{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`}
	case float64:
		return object{"type": "number"}
	case int:
		return object{"type": "integer"}
	case bool:
		return object{"type": "boolean"}
	case string:
		return object{"type": "string"}
	}
	return object{"type": "array", "uniqueItems": true}
}

// schema is made of Config, its limits and the table in README.
func schema(t *testing.T) []byte {
	t.Helper()
	rows, limits, properties := options(t), bounds(), object{}
	eachOption(func(key string, value any) {
		kind := typed(value)
		for name, limit := range limits[key] {
			kind[name] = limit
		}
		description := rows[key].Meaning
		if rows[key].Range != "" {
			description += "; " + rows[key].Range
		}
		of := properties
		if section, option, nested := strings.Cut(key, "::"); nested {
			of, key = sectionOf(properties, section), option
		}
		of[key] = object{
			"description": description,
			"default":     shown(value),
			"anyOf":       []object{kind, {"$ref": "#/$defs/reference"}},
		}
	})
	text, err := json.MarshalIndent(object{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "receiver/ebpf_profiler",
		"type":                 "object",
		"properties":           properties,
		"additionalProperties": false,
		"$defs": object{"reference": object{
			"description": "a value from elsewhere, such as ${env:NAME}", "type": "string", "pattern": `\$\{.+\}`,
		}},
	}, "", "  ")
	require.NoError(t, err)
	return append(text, '\n')
}

// sectionOf are the properties of a section.
func sectionOf(properties object, section string) object {
	if properties[section] == nil {
		properties[section] = object{"type": "object", "additionalProperties": false, "properties": object{}}
	}
	return properties[section].(object)["properties"].(object)
}

func TestTheSchemaIsUpToDate(t *testing.T) {
	want := schema(t)
	if *update {
		require.NoError(t, os.WriteFile(schemaFile, want, 0o644))
	}
	got, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run make schema")
}

func readSchema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	var s jsonschema.Schema
	require.NoError(t, json.Unmarshal(text, &s))
	resolved, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	require.NoError(t, err)
	return resolved
}

// plain is a value as JSON has it.
func plain(t *testing.T, value any) (out any) {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}

// The schema takes what the receiver takes, at every limit and beside it.
func TestTheSchemaAgreesWithTheReceiver(t *testing.T) {
	s := readSchema(t)
	names := func(n int) (out []any) {
		for i := range n {
			out = append(out, fmt.Sprintf("/%d", i))
		}
		return out
	}
	for _, test := range []struct {
		key    string
		values []any
	}{
		{"samples_per_second", []any{0, 1, maxSamplesPerSecond, maxSamplesPerSecond + 1, -1}},
		{"reporter_interval", []any{"5s", "1m30s", "1.5s", "5 s", "soon", ""}},
		{"reporter_jitter", []any{0, 0.2, maxReporterJitter, 1, -0.1, "much"}},
		{"cpus", []any{"", "0", "0-3,8", "0,", "3-", "all", "-1"}},
		{"probabilistic_threshold", []any{0, 1, 100, 101}},
		{"probabilistic_interval", []any{"1m", "1h", "often"}},
		{"filter", []any{
			map[string]any{},
			map[string]any{"min_process_age": "10s"},
			map[string]any{"min_process_age": "soon"},
			map[string]any{"include": []any{map[string]any{"comm": "a*"}}, "exclude": []any{map[string]any{"user": 0}, map[string]any{"user": "root"}}},
			map[string]any{"include": []any{map[string]any{}}},
			map[string]any{"include": []any{map[string]any{"comn": "a"}}},
			map[string]any{"include": []any{map[string]any{"executable": "sh"}}},
			map[string]any{"include": []any{map[string]any{"executable": "**/sh"}}},
			map[string]any{"include": []any{map[string]any{"cgroup": "a.slice"}}},
			map[string]any{"include": []any{map[string]any{"cgroup": "/a.slice/**"}}},
			map[string]any{"include": []any{map[string]any{"container": "a container"}}},
			map[string]any{"include": []any{map[string]any{"container": "0123456789ab"}}},
			map[string]any{"include": []any{map[string]any{"container": "web-1.example_"}}},
			map[string]any{"include": []any{map[string]any{"pid": maxMaxProcesses}, map[string]any{"pid": 1}}},
			map[string]any{"include": []any{map[string]any{"pid": maxMaxProcesses + 1}}},
			map[string]any{"includes": []any{}},
		}},
		{"poll_interval", []any{"250ms", "250"}},
		{"completion_interval", []any{"500ms", "0.5s"}},
		{"ring_buffer_size", []any{0, 1, 2048, minRingBufferSize, 12288, 1 << 20, maxRingBufferSize, 2 * maxRingBufferSize}},
		{"max_processes", []any{0, 1, maxMaxProcesses, maxMaxProcesses + 1}},
		{"max_batch_bytes", []any{minMaxBatchBytes - 1, minMaxBatchBytes, 1 << 40}},
		{"root_path", []any{"/", "/hostfs", "hostfs", ""}},
		{"process_command_args", []any{true, false}},
		{"include_env_vars", []any{[]any{}, []any{"A"}, []any{"A", "A"}, []any{"A="}, []any{""}, names(maxIncludeEnvVars), names(maxIncludeEnvVars + 1)}},
		{"debug_directories", []any{[]any{}, []any{"/a"}, []any{"/a", "/a"}, []any{"a"}, names(maxDebugDirectories), names(maxDebugDirectories + 1)}},
		{"kernel_names", []any{true, false}},
		{"native_names", []any{true, false}},
		{"inline_frames", []any{true, false}},
		{"go_names", []any{true, false}},
		{"jit_names", []any{true, false}},
		{"symbol_cache_size", []any{minSymbolCacheSize - 1, minSymbolCacheSize, maxSymbolCacheSize, maxSymbolCacheSize + 1}},
		{"demangle", []any{"none", "simplified", "full", "some", ""}},
		{"completion_listeners", []any{[]any{}, []any{"log"}, []any{"log/a", "log/b"}, []any{"log", "log"}}},
		{"samples_per_seconds", []any{19}},
	} {
		for _, value := range test.values {
			section := map[string]any{test.key: value}
			cfg := createDefaultConfig()
			err := confmap.NewFromStringMap(section).Unmarshal(cfg)
			if err == nil {
				err = confmap.Validate(cfg)
			}
			refused := s.Validate(plain(t, section))
			assert.Equal(t, err == nil, refused == nil, "%s: %v: the receiver says %v, the schema %v", test.key, value, err, refused)
		}
	}
	assert.NoError(t, s.Validate(map[string]any{"samples_per_second": "${env:RATE}"}))
	assert.Error(t, s.Validate(map[string]any{"samples_per_second": "often"}))
}

// Every configuration in the repository keeps the schema.
func TestConfigurationsKeepTheSchema(t *testing.T) {
	s, found := readSchema(t), 0
	for _, pattern := range []string{"examples/*.yaml", "deploy/docker/*.yaml", "test/e2e/testdata/*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			found += keepSchema(t, s, file, text)
		}
	}
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(readme, -1) {
		found += keepSchema(t, s, "README.md", block[1])
	}
	assert.Greater(t, found, 10, "sections of the receiver")
}

// keepSchema checks the receiver's sections of a configuration, and counts them.
func keepSchema(t *testing.T, s *jsonschema.Resolved, name string, text []byte) (found int) {
	t.Helper()
	var config struct{ Receivers any }
	require.NoError(t, yaml.Unmarshal(text, &config), name)
	sections, _ := config.Receivers.(map[string]any)
	for id, section := range sections {
		if kind, _, _ := strings.Cut(id, "/"); kind != "ebpf_profiler" {
			continue
		}
		if _, elsewhere := section.(string); elsewhere {
			continue
		}
		if section == nil {
			section = map[string]any{}
		}
		assert.NoError(t, s.Validate(plain(t, section)), "%s: %s", name, id)
		found++
	}
	return found
}
