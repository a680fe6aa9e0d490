// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc/codes"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/otlpcheck"
)

// quiet keeps the collector of an example off the port for metrics.
const quiet = "--config=yaml:service::telemetry::metrics::level: none"

// startExample runs an example until it is ready.
func startExample(t testing.TB, name string, env ...string) *collector {
	t.Helper()
	return startWithin(t, nil, env, "--config=../../examples/"+name, quiet)
}

// address sets a variable to an address of this host.
func address(variable string, port int) string { return fmt.Sprintf("%s127.0.0.1:%d", variable, port) }

// Every example, and what is deployed, is a configuration that the collector takes.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range append(files, "../../deploy/docker/config.yaml", inDaemonSet(t), inValues(t)) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		program := collectorBinary(t)
		if bytes.Contains(text, []byte("k8s_attributes")) {
			program = contribBinary(t)
		}
		cmd := exec.Command(program, "validate", "--config="+file, gate)
		cmd.Env = append(os.Environ(), "PROFILES_FILE="+t.TempDir()+"/profiles", "WEB_ENDPOINT=localhost:0",
			"K8S_NODE_NAME=node", "POD_IP=127.0.0.1", "MY_POD_IP=127.0.0.1")
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s: %s", file, out)
	}
}

// inDaemonSet is the configuration in the ConfigMap, as a file.
func inDaemonSet(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/kubernetes/daemonset.yaml")
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "daemonset.yaml")
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var object struct{ Data map[string]string }
		require.NoError(t, d.Decode(&object), "no ConfigMap is left")
		if config := object.Data["config.yaml"]; config != "" {
			require.NoError(t, os.WriteFile(name, []byte(config), 0o600))
			return name
		}
	}
}

// inValues is the configuration in the values for the Helm chart, as a file.
func inValues(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/kubernetes/values.yaml")
	require.NoError(t, err)
	var values struct {
		AlternateConfig map[string]any `yaml:"alternateConfig"`
	}
	require.NoError(t, yaml.Unmarshal(text, &values))
	require.NotEmpty(t, values.AlternateConfig)
	config, err := yaml.Marshal(values.AlternateConfig)
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(name, config, 0o600))
	return name
}

// delivered is what a receiver says at its end that it delivered.
func (c *collector) delivered() (n int64) {
	c.t.Helper()
	for _, f := range farewells(c.t, string(c.log())) {
		n += f.Delivered
	}
	require.Positive(c.t, n)
	return n
}

// Two agents send to a gateway, over gRPC and over HTTP, and it keeps every sample.
func TestExamplesOfAGateway(t *testing.T) {
	burnAll(t)
	grpc, http := freePort(t), freePort(t)
	file := filepath.Join(t.TempDir(), "profiles.otlp")
	gateway := startExample(t, "gateway.yaml", "PROFILES_FILE="+file, address("GATEWAY_LISTEN=", grpc), address("GATEWAY_LISTEN_HTTP=", http))
	agents := []*collector{
		startExample(t, "gateway-agent-grpc.yaml", address("GATEWAY=", grpc)),
		startExample(t, "gateway-agent-http.yaml", address("GATEWAY_HTTP=http://", http)),
	}
	time.Sleep(6 * time.Second)
	var sent, kept int64
	for _, a := range agents {
		a.stop()
		sent += a.delivered()
	}
	gateway.stop()
	for _, p := range readProfiles(t, file) {
		kept += samplesIn(p)
	}
	assert.Equal(t, sent, kept)
}

func TestExampleOfAFile(t *testing.T) {
	burnAll(t)
	file := filepath.Join(t.TempDir(), "profiles.json")
	c := startExample(t, "file.yaml", "PROFILES_FILE="+file)
	time.Sleep(2 * time.Second)
	c.stop()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	var kept int64
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		p, err := (&pprofile.JSONUnmarshaler{}).UnmarshalProfiles(lines.Bytes())
		require.NoError(t, err)
		require.NoError(t, otlpcheck.Check(p))
		kept += samplesIn(p)
	}
	require.NoError(t, lines.Err())
	assert.Equal(t, c.delivered(), kept)
}

// None of the processes of a test is in the example's filter.
func TestExampleOfAFilter(t *testing.T) {
	burnAll(t)
	file := filepath.Join(t.TempDir(), "profiles.json")
	c := startExample(t, "filter.yaml", "PROFILES_FILE="+file)
	time.Sleep(2 * time.Second)
	c.stop()
	assert.Contains(t, string(c.log()), "{executable: /usr/lib/postgresql/*/bin/*}", "what it works with")
	said := farewells(t, string(c.log()))["ebpf_profiler"]
	assert.Zero(t, said.Delivered)
	assert.Zero(t, said.gap())
}

// Pyroscope names services by service.name and takes a profile for CPU time if its samples
// are counted and have a period of CPU time. It refuses samples with timestamps and another
// number of values than one.
func TestExampleOfPyroscope(t *testing.T) {
	burners := burnAll(t)
	var seen []pprofile.Profiles
	b := grpcBackend(t, always(codes.OK))
	b.seen = func(p pprofile.Profiles) {
		copied := pprofile.NewProfiles()
		p.CopyTo(copied)
		seen = append(seen, copied)
	}
	c := startExample(t, "pyroscope.yaml", "PYROSCOPE="+b.endpoint)
	time.Sleep(2 * time.Second)
	c.stop()
	require.Equal(t, c.delivered(), b.accepted.Load())
	services := map[string]bool{}
	for _, p := range seen {
		texts := p.Dictionary().StringTable()
		for _, rp := range p.ResourceProfiles().All() {
			is := rp.Resource().Attributes()
			services[attribute(is, "service.name").Str()] = true
			if attribute(is, "process.executable.name").Str() != "" {
				require.Equal(t, attribute(is, "process.executable.name").Str(), attribute(is, "service.name").Str())
			}
			for _, sp := range rp.ScopeProfiles().All() {
				for _, profile := range sp.Profiles().All() {
					require.Equal(t, "samples", texts.At(int(profile.SampleType().TypeStrindex())))
					require.Equal(t, "count", texts.At(int(profile.SampleType().UnitStrindex())))
					require.Equal(t, "cpu", texts.At(int(profile.PeriodType().TypeStrindex())))
					require.Equal(t, "nanoseconds", texts.At(int(profile.PeriodType().UnitStrindex())))
					require.Positive(t, profile.Period())
					for _, s := range profile.Samples().All() {
						require.Zero(t, s.Values().Len())
						require.Positive(t, s.TimestampsUnixNano().Len())
					}
				}
			}
		}
	}
	for _, burner := range burners {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", burner.pid))
		require.NoError(t, err)
		assert.True(t, services[filepath.Base(exe)], "%s of %v", exe, services)
	}
}
