// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build vm && linux

// Package guest has the tests that change the machine they run on. They run in a
// virtual one only, see test/vm.
package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

func TestMain(m *testing.M) {
	if os.Getenv("VM_GUEST") == "" {
		fmt.Fprintln(os.Stderr, "these tests change kernel settings: run them with make test-kernels")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// profiler is a receiver that profiles the machine.
type profiler struct {
	*receiver.Receiver
	sink *consumertest.ProfilesSink
	tel  *componenttest.Telemetry
}

// start runs a receiver; of ring buffers of 0 bytes it finds the size itself.
func start(t *testing.T, ring int) profiler {
	t.Helper()
	p := profiler{sink: &consumertest.ProfilesSink{}, tel: componenttest.NewTelemetry()}
	r := receiver.New(metadatatest.NewSettings(p.tel), receiver.Settings{
		RingBufferSize:     ring,
		SamplesPerSecond:   499,
		ReporterInterval:   time.Second,
		PollInterval:       50 * time.Millisecond,
		CompletionInterval: 200 * time.Millisecond,
		MaxProcesses:       32768,
		MaxBatchBytes:      3 << 20,
		RootPath:           "/",
		DebugDirectories:   []string{"/usr/lib/debug"},
		Names:              receiver.Names{Kernel: true, Native: true, Inline: true, Go: true, JIT: true},
		SymbolCacheSize:    128 << 20,
	}, receiver.OpenKernel, p.sink)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	p.Receiver = r
	return p
}

// metrics are what one scrape says, each metric with its series added up: only
// those of one scrape are of one instant.
func (p profiler) metrics(t *testing.T) map[string]int64 {
	t.Helper()
	var scraped metricdata.ResourceMetrics
	require.NoError(t, p.tel.Reader.Collect(t.Context(), &scraped))
	is := map[string]int64{}
	for _, scope := range scraped.ScopeMetrics {
		for _, m := range scope.Metrics {
			name := strings.TrimPrefix(m.Name, "otelcol_receiver_ebpf_profiler_")
			for _, n := range series(m.Data) {
				is[name] += n
			}
		}
	}
	return is
}

func series(data metricdata.Aggregation) (values []int64) {
	var points []metricdata.DataPoint[int64]
	switch data := data.(type) {
	case metricdata.Sum[int64]:
		points = data.DataPoints
	case metricdata.Gauge[int64]:
		points = data.DataPoints
	}
	for _, point := range points {
		values = append(values, point.Value)
	}
	return values
}

// metric is one that the receiver has.
func (p profiler) metric(t *testing.T, name string) int64 {
	t.Helper()
	is := p.metrics(t)
	require.Contains(t, is, name)
	return is[name]
}

// requireClosed holds the ledger against itself.
func (p profiler) requireClosed(t *testing.T) {
	t.Helper()
	is := p.metrics(t)
	require.Positive(t, is["samples_taken"])
	require.Equal(t, is["samples_expected"], is["samples_taken"]+is["samples_unfired"])
	require.Equal(t, is["samples_taken"], is["samples_filtered"]+is["samples_lost"]+
		is["samples_delivered"]+is["samples_in_flight"])
	require.Zero(t, is["late_records"])
}

// set writes a kernel setting and restores it after the test.
func set(t *testing.T, path string, value int) {
	t.Helper()
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strconv.Itoa(value)), 0o644))
	t.Cleanup(func() { require.NoError(t, os.WriteFile(path, before, 0o644)) })
}

func existing(t *testing.T) int64 {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	return int64(len(all))
}
