// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build stacks && linux

package stacks_test

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

const (
	// warmUp is how long the receiver may read the files of what runs anyway, before
	// which those of the programs would wait.
	warmUp = 20 * time.Second
	// settle is how long a program runs before its samples are compared: its tables are
	// placed after its first sample.
	settle = 5 * time.Second
	// margin keeps exec, what comes before the program is ready, and exit apart.
	margin = 20 * time.Millisecond
)

// run is one run of a program.
type run struct {
	pid      int
	from, to time.Time // the samples between are compared
	err      error
}

// profiled runs programs for a while each, several at a time, and returns what profiles
// tell of them.
func profiled(t *testing.T, programs []program, hz int, d time.Duration) ([]run, []pprofile.Profiles) {
	t.Helper()
	roottest.Need(t)
	sink := &consumertest.ProfilesSink{}
	r := receiver.New(metadatatest.NewSettings(componenttest.NewTelemetry()), receiver.Settings{
		SamplesPerSecond: hz, ReporterInterval: 5 * time.Second, PollInterval: 250 * time.Millisecond,
		CompletionInterval: 500 * time.Millisecond, MaxProcesses: 32768, MaxBatchBytes: 3 << 20, RootPath: "/",
		SymbolCacheSize: 128 << 20,
	}, receiver.OpenKernel, sink)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	time.Sleep(warmUp)
	runs := make([]run, len(programs))
	var running sync.WaitGroup
	slots := make(chan struct{}, 2*runtime.NumCPU())
	for i, p := range programs {
		slots <- struct{}{}
		running.Go(func() {
			runs[i] = p.run(d)
			<-slots
		})
	}
	running.Wait()
	require.NoError(t, r.Shutdown(t.Context()))
	for i, p := range programs {
		require.NoError(t, runs[i].err, p.name)
	}
	return runs, sink.AllProfiles()
}

// run starts the program, waits until it says that it is ready, and stops it after a
// while.
func (p *program) run(d time.Duration) (r run) {
	cmd := exec.Command(p.command[0], p.command[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return run{err: err}
	}
	if r.err = cmd.Start(); r.err != nil {
		return r
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if _, r.err = bufio.NewReader(out).ReadString('\n'); r.err != nil {
		return r
	}
	r.pid, r.from = cmd.Process.Pid, time.Now().Add(settle)
	time.Sleep(settle + d)
	r.to = time.Now().Add(-margin)
	return r
}

// stacks returns the user stacks of a run's samples, of the process and its children.
func (r run) stacks(all []pprofile.Profiles, named *images) (out [][]frame) {
	for _, p := range all {
		d := p.Dictionary()
		for _, rp := range p.ResourceProfiles().All() {
			if a := rp.Resource().Attributes(); number(a, "process.pid") != r.pid && number(a, "process.parent_pid") != r.pid {
				continue
			}
			for _, sp := range rp.ScopeProfiles().All() {
				for _, profile := range sp.Profiles().All() {
					for _, s := range profile.Samples().All() {
						for range r.times(s) {
							out = append(out, userFrames(d, s, named))
						}
					}
				}
			}
		}
	}
	return out
}

func number(a pcommon.Map, key string) int {
	v, _ := a.Get(key)
	return int(v.Int())
}

// times are those of a sample that are to be compared.
func (r run) times(s pprofile.Sample) []uint64 {
	return slices.DeleteFunc(s.TimestampsUnixNano().AsRaw(), func(ns uint64) bool {
		return ns < uint64(r.from.UnixNano()) || ns > uint64(r.to.UnixNano())
	})
}

func userFrames(d pprofile.ProfilesDictionary, s pprofile.Sample, named *images) (out []frame) {
	for _, i := range d.StackTable().At(int(s.StackIndex())).LocationIndices().All() {
		l := d.LocationTable().At(int(i))
		path := d.StringTable().At(int(d.MappingTable().At(int(l.MappingIndex())).FilenameStrindex()))
		if isKernel(d, l) {
			continue
		}
		out = append(out, named.frame(path, l.Address()))
	}
	return out
}

func isKernel(d pprofile.ProfilesDictionary, l pprofile.Location) bool {
	for _, i := range l.AttributeIndices().All() {
		a := d.AttributeTable().At(int(i))
		if d.StringTable().At(int(a.KeyStrindex())) == "profile.frame.type" {
			return a.Value().Str() == "kernel"
		}
	}
	return false
}
