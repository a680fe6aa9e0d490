// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// burners are the functions of the program in which it is known what a link has to be.
var burners = []string{"alpha", "beta", "none", "hostile"}

// linked is a sample of one of them.
type linked struct {
	pid      int64
	function string
	link     string
	at       uint64
}

// runLinked runs the program and returns the samples of its functions by time. The program and
// its children are told to go on whenever so many samples are linked.
func runLinked(t *testing.T, p workloads.Spans, enough []uint64, arguments ...string) (all []linked, counts receiver.Links) {
	t.Helper()
	s := fast()
	s.SamplesPerSecond = 499
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, s, sink)
	links := receiver.ReadLinks(r)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program := exec.CommandContext(ctx, p.Program, arguments...)
	program.Stderr, program.SysProcAttr = os.Stderr, &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, program.Start())
	t.Cleanup(func() { _ = syscall.Kill(-program.Process.Pid, syscall.SIGKILL) })
	for _, n := range enough {
		require.Eventually(t, func() bool { return links().Linked >= n }, 30*time.Second, 10*time.Millisecond, "%+v", links())
		require.NoError(t, syscall.Kill(-program.Process.Pid, syscall.SIGUSR1))
	}
	require.NoError(t, program.Wait())
	require.NoError(t, r.Shutdown(t.Context()))
	eachSample(sink.AllProfiles(), func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		frames := userFrames(d, s)
		if len(frames) == 0 || fileOf(d, frames[0]) != p.Program {
			return
		}
		pid, _ := a.Get("process.pid")
		link, found := d.LinkTable().At(int(s.LinkIndex())), linked{pid: pid.Int()}
		if !link.TraceID().IsEmpty() {
			found.link = fmt.Sprintf("%s %s", link.TraceID(), link.SpanID())
		}
		for _, f := range frames[:1] {
			if n := f.Lines().Len(); n > 0 {
				found.function = d.StringTable().At(int(d.FunctionTable().At(int(f.Lines().At(n - 1).FunctionIndex())).NameStrindex()))
			}
		}
		if slices.Contains(burners, found.function) {
			for _, at := range s.TimestampsUnixNano().All() {
				found.at = at
				all = append(all, found)
			}
		}
	})
	slices.SortFunc(all, func(a, b linked) int { return int(int64(a.at) - int64(b.at)) })
	return all, links()
}

// right reports whether the link is that of the function, on any of the threads.
func (l linked) right() bool {
	for thread := 1; thread <= 3; thread++ {
		b := fmt.Sprintf("%02x", thread)
		trace, span := "", ""
		for range 16 {
			trace += b
		}
		for range 7 {
			span += b
		}
		if l.link == fmt.Sprintf("%s %s%02x", trace, span, l.function[0]) {
			return true
		}
	}
	return l.link == "" && (l.function == "none" || l.function == "hostile")
}

// afterTheFirst drops samples of each process from before its first link: where its threads
// have their context is not known at once.
func afterTheFirst(all []linked) (out []linked) {
	begun := map[int64]bool{}
	for _, l := range all {
		begun[l.pid] = begun[l.pid] || l.link != ""
		if begun[l.pid] {
			out = append(out, l)
		}
	}
	return out
}

// requireRight requires that samples of each function have exactly the link that they
// should have. The threads publish between the functions, so none is excused.
func requireRight(t *testing.T, all []linked, least int) {
	t.Helper()
	total, lacking := 0, 0
	for _, l := range afterTheFirst(all) {
		total++
		switch {
		case l.right():
		case l.link == "":
			lacking++
		default:
			require.Fail(t, "wrong link", "%+v", l)
		}
	}
	t.Logf("%d of %d samples after the first link have the right one, %d before", total-lacking, total, len(all)-total)
	require.GreaterOrEqual(t, total, least)
	require.LessOrEqual(t, float64(lacking), 0.005*float64(total))
}

// TestSamplesAreLinkedToSpans: by programs and libraries that have the variable in all
// places where it may be.
func TestSamplesAreLinkedToSpans(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	for _, p := range workloads.BuildSpans(t) {
		t.Run(p.Name, func(t *testing.T) {
			all, counts := runLinked(t, p, []uint64{600}, p.Arguments("run")...)
			requireRight(t, all, 200)
			require.NotZero(t, counts.Linked)
			require.Zero(t, counts.Unresolved)
		})
	}
}

// TestForkAndExecEndLinks: a child publishes its own, a program that is executed none.
func TestForkAndExecEndLinks(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	p := workloads.BuildSpans(t)[0]
	all, _ := runLinked(t, p, []uint64{600, 1300}, p.Arguments("fork")...)
	requireRight(t, all, 400)
	pids := map[int64]int{}
	for _, l := range afterTheFirst(all) {
		pids[l.pid]++
	}
	require.Len(t, pids, 2, "the child is linked as well")

	all, _ = runLinked(t, p, []uint64{600}, p.Arguments("exec", p.Program, "hostile")...)
	requireRight(t, all, 200)
	hostile := 0
	for _, l := range all {
		if l.function == "hostile" {
			hostile++
			require.Empty(t, l.link)
		}
	}
	require.NotZero(t, hostile)
}

// TestHostileContextsAreNoLinks: what cannot be read is counted, and nothing else comes of it.
func TestHostileContextsAreNoLinks(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	p := workloads.BuildSpans(t)[0]
	all, counts := runLinked(t, p, nil, p.Arguments("hostile")...)
	for _, l := range all {
		require.Empty(t, l.link)
	}
	require.Greater(t, len(all), 50)
	require.Greater(t, counts.Unreadable, uint64(20))
}
