// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"context"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/consumer/xconsumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

// startKernel profiles this host until the test stops it.
func startKernel(t *testing.T, s receiver.Settings, next xconsumer.Profiles) *receiver.Receiver {
	t.Helper()
	roottest.Need(t)
	r := receiver.New(metadatatest.NewSettings(componenttest.NewTelemetry()), s, receiver.OpenKernel, next)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	return r
}

// burn keeps every CPU busy until the test ends.
func burn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	for range runtime.NumCPU() {
		go func() {
			for n := 0; ctx.Err() == nil; n++ {
				_ = n * n
			}
			done <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		cancel()
		for range runtime.NumCPU() {
			<-done
		}
	})
}

func TestOverloadIsCounted(t *testing.T) {
	s := fast()
	s.SamplesPerSecond, s.RingBufferSize = 4999, os.Getpagesize()
	goOn := make(chan struct{})
	slow, err := xconsumer.NewProfiles(func(ctx context.Context, _ pprofile.Profiles) error {
		select {
		case <-ctx.Done():
		case <-goOn:
		}
		return nil
	})
	require.NoError(t, err)
	r := startKernel(t, s, slow)
	burn(t)
	ledger := receiver.ReadLedger(r)
	require.Eventually(t, func() bool { return ledger().Lost["consumer_slow"] > 0 }, 30*time.Second, 50*time.Millisecond)
	l := ledger()
	require.Equal(t, l.Taken, l.Filtered+l.LostTotal()+l.Delivered+l.InFlight, "in flight: %+v", l)
	require.GreaterOrEqual(t, l.Completions, uint64(8), "overload does not hold the watermark")
	close(goOn)
	require.NoError(t, r.Shutdown(t.Context()))
	l = ledger()
	t.Logf("%+v", l)
	requireClosed(t, l)
	require.Equal(t, l.Expected, l.Taken+l.Unfired)
	require.Positive(t, l.Lost["ring_full"])
	require.Positive(t, l.Lost["consumer_slow"])
}

// A system call that updates a map keeps the kernel from running the sampler on
// its CPU (bpf_disable_instrumentation in kernel/bpf/syscall.c, v6.12). Half of them do.
func TestSamplesTheKernelSkipsAreUnfired(t *testing.T) {
	roottest.InTime(t)
	s := fast()
	s.SamplesPerSecond = 997
	r := startKernel(t, s, &consumertest.ProfilesSink{})
	burn(t) // an idle CPU skips ticks too
	ledger := receiver.ReadLedger(r)
	// unfired is the share of the samples due in two seconds.
	unfired := func(during func()) float64 {
		before := ledger()
		during()
		after := ledger()
		return float64(after.Unfired-before.Unfired) / float64(after.Expected-before.Expected)
	}
	time.Sleep(200 * time.Millisecond)
	without := unfired(func() { time.Sleep(2 * time.Second) })
	with := unfired(func() {
		var hogs sync.WaitGroup
		for range (runtime.NumCPU() + 1) / 2 {
			hogs.Go(func() { hog(t, 2*time.Second) })
		}
		hogs.Wait()
	})
	t.Logf("unfired: %.1f %% without, %.1f %% with the hog", 100*without, 100*with)
	// Some 15 % at the least, so the bound has a margin of five.
	require.Greater(t, with, without+0.03)
	require.NoError(t, r.Shutdown(t.Context()))
	l := ledger()
	requireClosed(t, l)
	require.Equal(t, l.Expected, l.Taken+l.Unfired)
}

// hog updates many elements of a map in one system call, for a while.
func hog(t *testing.T, d time.Duration) {
	t.Helper()
	const entries = 4096
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: entries})
	require.NoError(t, err)
	defer m.Close()
	keys, values := make([]uint32, entries), make([]uint64, entries)
	for i := range keys {
		keys[i] = uint32(i)
	}
	for deadline := time.Now().Add(d); time.Now().Before(deadline); {
		_, err := m.BatchUpdate(keys, values, nil)
		require.NoError(t, err)
	}
}

func TestTwentyRestartsLeaveNothing(t *testing.T) {
	roottest.Need(t)
	var before resources
	for i := range 20 {
		r := startKernel(t, fast(), &consumertest.ProfilesSink{})
		time.Sleep(30 * time.Millisecond)
		require.NoError(t, r.Shutdown(t.Context()))
		if i == 0 {
			before = used(t)
		}
	}
	// The kernel closes what a grace period still needs a moment later, and
	// goroutines end a moment after Shutdown, so before may show some of those.
	after := used(t)
	for deadline := time.Now().Add(5 * time.Second); after.exceeds(before) && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
		after = used(t)
	}
	require.False(t, after.exceeds(before), "%+v, then %+v", before, after)
}

// resources are what a leak would add to.
type resources struct{ files, goroutines, bpf int }

func (r resources) exceeds(before resources) bool {
	return r.files > before.files || r.goroutines > before.goroutines || r.bpf > before.bpf
}

func used(t *testing.T) resources {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	r := resources{files: len(files), goroutines: runtime.NumGoroutine()}
	for _, f := range files {
		if target, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && strings.Contains(target, "bpf") {
			r.bpf++
		}
	}
	return r
}

func TestTwoReceiversProfileSideBySide(t *testing.T) {
	roottest.Need(t)
	a, b := &consumertest.ProfilesSink{}, &consumertest.ProfilesSink{}
	first, second := startKernel(t, fast(), a), startKernel(t, fast(), b)
	ledgers := []func() receiver.Ledger{receiver.ReadLedger(first), receiver.ReadLedger(second)}
	burn(t)
	began := time.Now()
	time.Sleep(1500 * time.Millisecond)
	ended := time.Now()
	require.NoError(t, first.Shutdown(t.Context()))
	require.NoError(t, second.Shutdown(t.Context()))
	for _, ledger := range ledgers {
		requireClosed(t, ledger())
	}
	// Both saw the same load at the same rate: 5 times is far beyond chance.
	together := func(sink *consumertest.ProfilesSink) (n float64) {
		eachSample(sink.AllProfiles(), func(_ pcommon.Map, _ pprofile.ProfilesDictionary, s pprofile.Sample) {
			for _, at := range s.TimestampsUnixNano().All() {
				if at := time.Unix(0, int64(at)); began.Before(at) && at.Before(ended) {
					n++
				}
			}
		})
		return n
	}
	n, m := together(a), together(b)
	require.Positive(t, n)
	require.InDelta(t, 1, n/m, 0.8)
}

func TestStartFailsWithoutAHost(t *testing.T) {
	s := fast()
	s.RootPath = t.TempDir()
	r := receiver.New(metadatatest.NewSettings(componenttest.NewTelemetry()), s, receiver.OpenKernel, consumertest.NewNop())
	require.ErrorContains(t, r.Start(t.Context(), componenttest.NewNopHost()), "root_path")
	require.NoError(t, r.Shutdown(t.Context()))
}
