// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/sourcetest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/otlpcheck"
)

// fast makes windows that a test need not wait long for.
func fast() receiver.Settings {
	return receiver.Settings{
		SamplesPerSecond:   97,
		ReporterInterval:   time.Second,
		PollInterval:       50 * time.Millisecond,
		CompletionInterval: 100 * time.Millisecond,
		MaxProcesses:       32768,
		MaxBatchBytes:      3 << 20,
		RootPath:           "/",
		DebugDirectories:   []string{"/usr/lib/debug"},
		Names:              receiver.Names{Kernel: true, Native: true, Inline: true, Go: true, JIT: true},
		SymbolCacheSize:    128 << 20,
		Placement:          pipeline.Placement{ResourceBy: pipeline.ByProcess, Samples: []string{pipeline.ThreadName}},
	}
}

// sources are the ways to run the same test: on the fake and on the kernel.
func sources(t *testing.T, test func(t *testing.T, open receiver.OpenSource)) {
	t.Run("fake", func(t *testing.T) { test(t, sourcetest.Open) })
	t.Run("kernel", func(t *testing.T) {
		roottest.Need(t)
		test(t, receiver.OpenKernel)
	})
}

func TestLedgerClosesAtRest(t *testing.T) {
	sources(t, func(t *testing.T, open receiver.OpenSource) {
		tel := componenttest.NewTelemetry()
		sink := &consumertest.ProfilesSink{}
		r := receiver.New(metadatatest.NewSettings(tel), fast(), open, sink)
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
		time.Sleep(2500 * time.Millisecond)
		ledger, stopped := receiver.ReadLedger(r), receiver.Stopped(r)
		require.False(t, stopped())
		require.NoError(t, r.Shutdown(context.Background()))
		require.True(t, stopped(), "no file is read any more")
		rest := ledger()
		t.Logf("%+v", rest)
		require.Positive(t, rest.Delivered)
		requireClosed(t, rest)
		require.Equal(t, rest.Delivered, timestamps(sink.AllProfiles()))
		for _, p := range sink.AllProfiles() {
			require.NoError(t, otlpcheck.Check(p))
		}
	})
}

// timestamps counts the samples of profiles, each of which is a timestamp.
func timestamps(all []pprofile.Profiles) (n uint64) {
	for _, p := range all {
		for _, rp := range p.ResourceProfiles().All() {
			for _, sp := range rp.ScopeProfiles().All() {
				for _, profile := range sp.Profiles().All() {
					for _, s := range profile.Samples().All() {
						n += uint64(s.TimestampsUnixNano().Len())
					}
				}
			}
		}
	}
	return n
}

// functions are the names in profiles.
func functions(all []pprofile.Profiles) map[string]bool {
	out := map[string]bool{}
	for _, p := range all {
		d := p.Dictionary()
		for _, f := range d.FunctionTable().All() {
			out[d.StringTable().At(int(f.NameStrindex()))] = true
		}
	}
	return out
}

func TestKernelFunctionsHaveNames(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	sink := &consumertest.ProfilesSink{}
	s := fast()
	s.SamplesPerSecond = 997
	r := receiver.New(metadatatest.NewSettings(componenttest.NewTelemetry()), s, receiver.OpenKernel, sink)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	deadline := time.Now().Add(2 * time.Second)
	for time.Now().Before(deadline) {
		_, err := os.ReadFile("/proc/self/status")
		require.NoError(t, err)
	}
	require.NoError(t, r.Shutdown(context.Background()))
	got := functions(sink.AllProfiles())
	for _, name := range []string{"do_syscall_64", "proc_pid_status", "vfs_read"} {
		require.True(t, got[name], "no sample in %s", name)
	}
}
