// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pprofwebexporter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
)

func load(t *testing.T, values map[string]any) *Config {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, confmap.NewFromStringMap(values).Unmarshal(cfg))
	return cfg
}

func TestTheDefaultIsForThisMachineOnly(t *testing.T) {
	cfg := load(t, nil)

	require.NoError(t, confmap.Validate(cfg))
	require.NoError(t, componenttest.CheckConfigStruct(cfg))
	assert.Equal(t, "localhost:6077", cfg.NetAddr.Endpoint)
	assert.Equal(t, 120, cfg.MaxWindows)
	assert.EqualValues(t, 64<<20, cfg.MaxBytes)
	assert.Equal(t, 30*time.Second, cfg.WriteTimeout, "what confighttp says")
}

func TestKeys(t *testing.T) {
	cfg := load(t, map[string]any{
		"endpoint": "10.0.0.1:80", "allowed_hosts": []any{"profiles.example"}, "max_windows": 5, "max_bytes": 5 << 20,
	})

	require.NoError(t, confmap.Validate(cfg))
	assert.Equal(t, "10.0.0.1:80", cfg.NetAddr.Endpoint)
	assert.Equal(t, []string{"profiles.example"}, cfg.AllowedHosts)
	assert.Equal(t, 5, cfg.MaxWindows)
	assert.EqualValues(t, 5<<20, cfg.MaxBytes)
}

func TestEndpoints(t *testing.T) {
	for _, values := range []map[string]any{
		{"endpoint": "localhost:0"}, {"endpoint": "127.0.0.1:80"}, {"endpoint": "[::1]:80"}, {"endpoint": "127.9.9.9:80"},
		{"endpoint": "0.0.0.0:80", "allowed_hosts": []any{"host"}},
		{"endpoint": "/run/profiles.sock", "transport": "unix"},
	} {
		assert.NoError(t, confmap.Validate(load(t, values)), "%v", values)
	}
	const open = " can be reached by other machines, which see the names of all programs and functions; " +
		"to allow that, list the names they use for this one in allowed_hosts"
	for _, test := range []struct {
		values map[string]any
		want   string
	}{
		{map[string]any{"endpoint": "0.0.0.0:80"}, "endpoint: 0.0.0.0:80" + open},
		{map[string]any{"endpoint": ":80"}, "endpoint: :80" + open},
		{map[string]any{"endpoint": "[::]:80"}, "endpoint: [::]:80" + open},
		{map[string]any{"endpoint": "192.168.1.1:80"}, "endpoint: 192.168.1.1:80" + open},
		{map[string]any{"endpoint": "localhost.example:80"}, "endpoint: localhost.example:80" + open},
		{map[string]any{"endpoint": "localhost"}, `endpoint: "localhost" is out of range, want host:port`},
		{map[string]any{"endpoint": ""}, `endpoint: "" is out of range, want host:port`},
		{map[string]any{"endpoint": "", "transport": "unix"}, `endpoint: "" is out of range, want the path of a socket`},
		{map[string]any{"transport": "udp"}, `transport: "udp" is out of range, want tcp, tcp4, tcp6 or unix`},
		{map[string]any{"allowed_hosts": []any{"*"}}, "allowed_hosts: want exact names or addresses"},
		{map[string]any{"allowed_hosts": []any{""}}, "allowed_hosts: want exact names or addresses"},
		{map[string]any{"max_windows": 0}, "max_windows: 0 is out of range, want 1 to 10000"},
		{map[string]any{"max_windows": 10_001}, "max_windows: 10001 is out of range, want 1 to 10000"},
		{map[string]any{"max_bytes": 4<<20 - 1}, "max_bytes: 4194303 is out of range, want 4194304 to 1099511627776"},
	} {
		assert.EqualError(t, confmap.Validate(load(t, test.values)), test.want)
	}
}
