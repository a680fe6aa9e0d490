// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pprofwebexporter

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/web"
)

const (
	maxMaxWindows = 10_000
	// minMaxBytes holds a message of the largest size that gRPC takes by default.
	minMaxBytes = 4 << 20
	maxMaxBytes = 1 << 40
)

// Config is the exporter's section of the collector's configuration.
type Config struct {
	// ServerConfig is the HTTP server: endpoint, tls, auth and others.
	confighttp.ServerConfig `mapstructure:",squash"`
	// AllowedHosts are names and addresses of this server, beside those of the
	// loopback address, that browsers may ask for.
	AllowedHosts []string `mapstructure:"allowed_hosts"`
	// MaxWindows is how many windows are kept.
	MaxWindows int `mapstructure:"max_windows"`
	// MaxBytes bounds the encoded size of the windows that are kept.
	MaxBytes int64 `mapstructure:"max_bytes"`
}

var _ confmap.Validator = (*Config)(nil)

func createDefaultConfig() component.Config {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = "localhost:6077"
	return &Config{ServerConfig: server, MaxWindows: 120, MaxBytes: 64 << 20}
}

// Validate reports every value that is out of range. It looks at nothing but c.
func (c *Config) Validate() error {
	return errors.Join(
		c.validateEndpoint(),
		c.validateAllowedHosts(),
		inRange("max_windows", c.MaxWindows, 1, maxMaxWindows),
		inRange("max_bytes", c.MaxBytes, minMaxBytes, maxMaxBytes),
	)
}

// validateEndpoint lets other machines in only if the configuration says as what
// they know this one.
func (c *Config) validateEndpoint() error {
	endpoint := c.NetAddr.Endpoint
	switch c.NetAddr.Transport {
	case confignet.TransportTypeUnix:
		if endpoint == "" {
			return errors.New("endpoint: \"\" is out of range, want the path of a socket")
		}
		return nil
	case confignet.TransportTypeTCP, confignet.TransportTypeTCP4, confignet.TransportTypeTCP6:
	default:
		return fmt.Errorf("transport: %q is out of range, want tcp, tcp4, tcp6 or unix", c.NetAddr.Transport)
	}
	if _, _, err := net.SplitHostPort(endpoint); err != nil {
		return fmt.Errorf("endpoint: %q is out of range, want host:port", endpoint)
	}
	if !web.Loopback(endpoint) && len(c.AllowedHosts) == 0 {
		return fmt.Errorf("endpoint: %s can be reached by other machines, which see the names of all programs and functions; "+
			"to allow that, list the names they use for this one in allowed_hosts", endpoint)
	}
	return nil
}

func (c *Config) validateAllowedHosts() error {
	if slices.Contains(c.AllowedHosts, "") || slices.Contains(c.AllowedHosts, "*") {
		return errors.New("allowed_hosts: want exact names or addresses")
	}
	return nil
}

func inRange[T int | int64](key string, v, low, high T) error {
	if v >= low && v <= high {
		return nil
	}
	return fmt.Errorf("%s: %v is out of range, want %v to %v", key, v, low, high)
}
