// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/sourcetest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

const prefix = "otelcol_receiver_ebpf_profiler_"

// sum adds up the series of a metric that belong to a receiver.
func sum(t *testing.T, tel *componenttest.Telemetry, name, id string) (total int64, series int) {
	t.Helper()
	m, err := tel.GetMetric(prefix + name)
	require.NoError(t, err)
	var points []metricdata.DataPoint[int64]
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		points = data.DataPoints
	case metricdata.Gauge[int64]:
		points = data.DataPoints
	default:
		require.Failf(t, "unexpected type", "%s is a %T", name, data)
	}
	for _, p := range points {
		if v, _ := p.Attributes.Value("receiver"); v.AsString() == id {
			total += p.Value
			series++
		}
	}
	return total, series
}

func TestTheMetricsOfTwoReceiversStayApart(t *testing.T) {
	tel := componenttest.NewTelemetry()
	ids := []string{"ebpf_profiler/a", "ebpf_profiler/b"}
	hz := map[string]int{"ebpf_profiler/a": 50, "ebpf_profiler/b": 200}
	var running []*receiver.Receiver
	began := time.Now()
	for _, id := range ids {
		set := metadatatest.NewSettings(tel)
		require.NoError(t, set.ID.UnmarshalText([]byte(id)))
		s := fast()
		s.SamplesPerSecond = hz[id]
		r := receiver.New(set, s, sourcetest.Open, consumertest.NewNop())
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
		running = append(running, r)
	}
	for _, id := range ids {
		require.Eventually(t, func() bool { // what was published a moment ago is at its own rate
			due := 2 * float64(hz[id]) * (time.Since(began).Seconds() - 0.5)
			taken, _ := sum(t, tel, "samples_taken", id)
			return float64(taken) >= max(float64(hz[id]), due)
		}, 10*time.Second, 50*time.Millisecond)
		taken, series := sum(t, tel, "samples_taken", id)
		require.Equal(t, 1, series)
		require.LessOrEqual(t, float64(taken), 2*float64(hz[id])*(time.Since(began).Seconds()+0.1), id)
		_, reasons := sum(t, tel, "samples_lost", id)
		require.Equal(t, 7, reasons, "a series for each reason, from the start")
		late, _ := sum(t, tel, "late_records", id)
		require.Zero(t, late)
		live, states := sum(t, tel, "processes", id)
		require.Equal(t, 3, states)
		require.EqualValues(t, 1, live)
	}
	lag, err := tel.GetMetric(prefix + "watermark_lag")
	require.NoError(t, err)
	for _, p := range lag.Data.(metricdata.Gauge[float64]).DataPoints {
		require.Positive(t, p.Value)
		require.Less(t, p.Value, 5*0.25, "five times the two intervals")
	}
	for _, r := range running {
		require.NoError(t, r.Shutdown(t.Context()))
	}
	_, err = tel.GetMetric(prefix + "samples_taken")
	require.Error(t, err, "a receiver that was shut down shows nothing")
}

// A file whose unwind information is damaged is counted as that, once.
func TestDamagedUnwindInformationIsCounted(t *testing.T) {
	roottest.Need(t)
	file := filepath.Join(t.TempDir(), "damaged")
	source := file + ".c"
	require.NoError(t, os.WriteFile(source, []byte("int main(void) { for (;;) __asm__ volatile(\"\"); }\n"), 0o600))
	out, err := exec.Command("gcc", "-o", file, source).CombinedOutput()
	require.NoError(t, err, "%s", out)
	workloads.DamageUnwindInformation(t, file)
	tel := componenttest.NewTelemetry()
	set := metadatatest.NewSettings(tel)
	r := receiver.New(set, fast(), receiver.OpenKernel, consumertest.NewNop())
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	counted := func(name string) int64 { n, _ := sum(t, tel, name, set.ID.String()); return n }
	require.Eventually(t, func() bool { return counted("samples_delivered") > 0 }, 30*time.Second, 100*time.Millisecond)
	require.Zero(t, counted("unwind_tables_faulty"))

	cmd := exec.Command(file)
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	require.Eventually(t, func() bool { return counted("unwind_tables_faulty") == 1 }, 30*time.Second, 100*time.Millisecond)
	require.Zero(t, counted("symbol_files_faulty"))
	require.Zero(t, counted("unwind_tables_refused"))
	require.NoError(t, r.Shutdown(t.Context()))
}
