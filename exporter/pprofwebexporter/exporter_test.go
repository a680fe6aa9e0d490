// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pprofwebexporter

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/exporter/xexporter"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/metadata"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/profiletest"
)

// freeAddress is one of the loopback address that nobody listens at.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// newExporter makes an exporter that ends with the test.
func newExporter(t testing.TB, cfg *Config, telemetry component.TelemetrySettings) xexporter.Profiles {
	t.Helper()
	set := exportertest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = telemetry
	set.ID = component.NewIDWithName(metadata.Type, "test")
	e, err := NewFactory().(xexporter.Factory).CreateProfiles(context.Background(), set, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.Shutdown(context.Background())) })
	return e
}

func started(t testing.TB, cfg *Config, telemetry component.TelemetrySettings) xexporter.Profiles {
	t.Helper()
	e := newExporter(t, cfg, telemetry)
	require.NoError(t, e.Start(context.Background(), componenttest.NewNopHost()))
	return e
}

func consume(t testing.TB, e xexporter.Profiles, profiles ...profiletest.Profile) {
	t.Helper()
	require.NoError(t, e.ConsumeProfiles(context.Background(), profiletest.Build(profiles...)))
}

func get(t testing.TB, client *http.Client, url string) string {
	t.Helper()
	r, err := client.Get(url)
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, r.StatusCode, "%s", body)
	return string(body)
}

// newClient keeps no connection, so that none outlives the test.
func newClient(dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
}

func TestWhatIsConsumedIsServed(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = freeAddress(t)
	e := started(t, cfg, componenttest.NewNopTelemetrySettings())
	require.True(t, e.Capabilities().MutatesData, "encoding changes profiles")
	consume(t, e, profiletest.CPU("server", 42, 1000, profiletest.Stack(3, "serve", "main")))

	client := newClient(nil)
	assert.Contains(t, get(t, client, "http://"+cfg.NetAddr.Endpoint), "server")
	assert.Contains(t, get(t, client, "http://"+cfg.NetAddr.Endpoint+"/profile/all/flamegraph"), "serve")
	assert.Equal(t, "server;main;serve 30000000\n", get(t, client, "http://"+cfg.NetAddr.Endpoint+"/profile/all/folded.txt"))
}

func TestAUnixSocket(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Transport, cfg.NetAddr.Endpoint = "unix", filepath.Join(t.TempDir(), "socket")
	e := started(t, cfg, componenttest.NewNopTelemetrySettings())
	consume(t, e, profiletest.CPU("server", 42, 1000, profiletest.Stack(3, "serve", "main")))
	client := newClient(func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", cfg.NetAddr.Endpoint)
	})

	assert.Contains(t, get(t, client, "http://localhost/"), "server")
}

// Two exporters share the one driver that there is.
func TestTwoExportersAtOnce(t *testing.T) {
	client := newClient(nil)
	var wg sync.WaitGroup
	for _, name := range []string{"first", "second"} {
		cfg := createDefaultConfig().(*Config)
		cfg.NetAddr.Endpoint = freeAddress(t)
		e := started(t, cfg, componenttest.NewNopTelemetrySettings())
		consume(t, e, profiletest.CPU(name, 1, 1000, profiletest.Stack(3, "function_of_"+name)))
		for _, view := range []string{"flamegraph", "top", "peek", "folded.txt", "profile.pb.gz"} {
			wg.Go(func() {
				page := get(t, client, "http://"+cfg.NetAddr.Endpoint+"/profile/all/"+view)
				if !strings.HasSuffix(view, ".gz") {
					assert.Contains(t, page, "function_of_"+name)
				}
			})
			wg.Go(func() {
				assert.NoError(t, e.ConsumeProfiles(context.Background(),
					profiletest.Build(profiletest.CPU(name, 1, 2000, profiletest.Stack(3, "more")))))
			})
		}
	}
	wg.Wait()
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint = l.Addr().String()

	err = newExporter(t, cfg, componenttest.NewNopTelemetrySettings()).Start(context.Background(), componenttest.NewNopHost())

	require.ErrorContains(t, err, "endpoint: listen at "+cfg.NetAddr.Endpoint)
}

func TestShutdownWithoutStart(t *testing.T) {
	e := newExporter(t, createDefaultConfig().(*Config), componenttest.NewNopTelemetrySettings())

	require.NoError(t, e.Shutdown(context.Background()))
}

func point(value int64, more ...attribute.KeyValue) []metricdata.DataPoint[int64] {
	return []metricdata.DataPoint[int64]{{
		Value: value, Attributes: attribute.NewSet(append(more, attribute.String("exporter", "pprof_web/test"))...),
	}}
}

func TestTelemetryTellsWhatIsHeldAndDropped(t *testing.T) {
	telemetry := componenttest.NewTelemetry()
	defer func() { require.NoError(t, telemetry.Shutdown(context.Background())) }()
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint, cfg.MaxWindows = freeAddress(t), 2
	e := started(t, cfg, telemetry.NewTelemetrySettings())
	for start := range int64(3) {
		consume(t, e, profiletest.CPU("a", 1, start+1, profiletest.Stack(1, "f"), profiletest.Stack(1, "g")))
	}
	broken := profiletest.Build(profiletest.CPU("a", 1, 1, profiletest.Stack(1, "f")))
	broken.Dictionary().StackTable().At(1).LocationIndices().Append(9)

	err := e.ConsumeProfiles(context.Background(), broken)

	require.True(t, consumererror.IsPermanent(err), "%v", err)
	require.ErrorContains(t, err, "stack 1 refers to location 9")
	r, err := http.NewRequest(http.MethodGet, "http://"+cfg.NetAddr.Endpoint, nil)
	require.NoError(t, err)
	r.Host = "evil.example"
	answer, err := newClient(nil).Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusMisdirectedRequest, answer.StatusCode)

	reason := attribute.String("reason", "max_windows")
	opts := []metricdatatest.Option{metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars()}
	metadatatest.AssertEqualExporterPprofWebWindows(t, telemetry, point(2), opts...)
	metadatatest.AssertEqualExporterPprofWebDroppedWindows(t, telemetry, point(1, reason), opts...)
	metadatatest.AssertEqualExporterPprofWebDroppedSamples(t, telemetry, point(2, reason), opts...)
	metadatatest.AssertEqualExporterPprofWebInvalidBatches(t, telemetry, point(1), opts...)
	metadatatest.AssertEqualExporterPprofWebRefusedRequests(t, telemetry, point(1), opts...)
	bytes, err := telemetry.GetMetric("otelcol_exporter_pprof_web_bytes")
	require.NoError(t, err)
	value := bytes.Data.(metricdata.Gauge[int64]).DataPoints[0].Value
	assert.Greater(t, value, int64(400))
	assert.Less(t, value, int64(4000))
}

func TestBytesAreBounded(t *testing.T) {
	telemetry := componenttest.NewTelemetry()
	defer func() { require.NoError(t, telemetry.Shutdown(context.Background())) }()
	cfg := createDefaultConfig().(*Config)
	cfg.NetAddr.Endpoint, cfg.MaxBytes = freeAddress(t), minMaxBytes
	e := started(t, cfg, telemetry.NewTelemetrySettings())
	name := strings.Repeat("x", 3<<20)
	consume(t, e, profiletest.CPU("a", 1, 1, profiletest.Stack(1, name)))
	consume(t, e, profiletest.CPU("a", 1, 2, profiletest.Stack(1, name)))

	err := e.ConsumeProfiles(context.Background(), profiletest.Build(profiletest.CPU("a", 1, 3, profiletest.Stack(1, name+name))))

	require.True(t, consumererror.IsPermanent(err))
	require.ErrorContains(t, err, "max_bytes is 4194304")
	reason := attribute.String("reason", "max_bytes")
	metadatatest.AssertEqualExporterPprofWebDroppedWindows(t, telemetry, point(1, reason), metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
	metadatatest.AssertEqualExporterPprofWebWindows(t, telemetry, point(1), metricdatatest.IgnoreTimestamp(), metricdatatest.IgnoreExemplars())
}
