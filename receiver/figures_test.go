// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && figures

package receiver_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/consumer/xconsumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

var (
	firstOf   = flag.String("first-of", "", "a command whose first named window TestFirstNamedWindow measures")
	firstIn   = flag.String("first-in", "", "the file whose frames that counts, if not the program")
	steadyFor = flag.Duration("steady-for", 0, "how long TestSteady records its own CPU profile")
	steadyTo  = flag.String("steady-to", "steady.pprof", "where TestSteady writes it")
)

// handed is what one window says of a program, and when it was handed on.
type handed struct {
	at    time.Time
	first time.Time // sample
	// frames in the file, named and with a line.
	frames, named, lined int
	// pending is the metric so far.
	pending uint64
}

// TestFirstNamedWindow measures from the first sample of a program that the receiver has
// not seen to the delivery of windows with its names.
func TestFirstNamedWindow(t *testing.T) {
	roottest.Need(t)
	require.NotEmpty(t, *firstOf, "the flag -first-of")
	command := strings.Fields(*firstOf)
	file, err := exec.LookPath(command[0])
	require.NoError(t, err)
	program := file
	if *firstIn != "" {
		file = *firstIn
	}
	file, err = filepath.EvalSymlinks(file)
	require.NoError(t, err)
	s := fast()
	s.SamplesPerSecond, s.PollInterval, s.CompletionInterval = 97, 250*time.Millisecond, 500*time.Millisecond
	var mu sync.Mutex
	var windows []handed
	pending := func() uint64 { return 0 }
	next, err := xconsumer.NewProfiles(func(_ context.Context, p pprofile.Profiles) error {
		if w := told(p, file); w.frames > 0 {
			mu.Lock()
			defer mu.Unlock()
			w.pending = pending()
			windows = append(windows, w)
		}
		return nil
	})
	require.NoError(t, err)
	r := startKernel(t, s, next)
	ledger := receiver.ReadLedger(r)
	time.Sleep(30 * time.Second) // what runs already is known
	mu.Lock()
	pending = func() uint64 { return ledger().Pending }
	mu.Unlock()
	before := ledger().Pending
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	_ = exec.CommandContext(ctx, program, command[1:]...).Run() // or it is killed
	require.NoError(t, r.Shutdown(t.Context()))
	require.NotEmpty(t, windows)
	first := windows[0].first
	for i, w := range windows {
		t.Logf("window %d, %.1f s after the first sample: of %d frames %.1f %% named, %.1f %% with lines, %d pending on the host before",
			i+1, w.at.Sub(first).Seconds(), w.frames, 100*float64(w.named)/float64(w.frames), 100*float64(w.lined)/float64(w.frames), w.pending-before)
	}
	t.Logf("%d frames pending on the host", ledger().Pending-before)
}

func told(p pprofile.Profiles, file string) (w handed) {
	w.at = time.Now()
	eachSample([]pprofile.Profiles{p}, func(_ pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		for _, l := range userFrames(d, s) {
			if fileOf(d, l) != file {
				continue
			}
			for _, at := range s.TimestampsUnixNano().All() {
				if k := time.Unix(0, int64(at)); w.first.IsZero() || k.Before(w.first) {
					w.first = k
				}
			}
			w.frames++
			if l.Lines().Len() > 0 {
				w.named++
				if l.Lines().At(0).Line() > 0 {
					w.lined++
				}
			}
		}
	})
	return w
}

// TestSteady records the receiver's own CPU profile once everything that runs has been
// read. go tool pprof says which share of it names frames.
func TestSteady(t *testing.T) {
	roottest.Need(t)
	require.NotZero(t, *steadyFor, "the flag -steady-for")
	s := fast()
	s.SamplesPerSecond, s.ReporterInterval = 97, 5*time.Second
	s.PollInterval, s.CompletionInterval = 250*time.Millisecond, 500*time.Millisecond
	r := startKernel(t, s, consumertest.NewNop())
	time.Sleep(20 * time.Second)
	out, err := os.Create(*steadyTo)
	require.NoError(t, err)
	require.NoError(t, pprof.StartCPUProfile(out))
	time.Sleep(*steadyFor)
	pprof.StopCPUProfile()
	require.NoError(t, out.Close())
	fmt.Printf("%+v\n", receiver.ReadLedger(r)())
	require.NoError(t, r.Shutdown(t.Context()))
}
