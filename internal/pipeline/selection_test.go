// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/filter"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
)

func filtering(rules filter.Rules, age time.Duration) *Pipeline {
	return New(Settings{
		Start: start, Interval: time.Second, MaxHoldBytes: 1 << 20, MaxProcesses: 3, MaxSymbolBytes: 1 << 20,
		Filter: rules, MinAge: age,
	})
}

// pids counts the samples of a window by PID.
func pids(w *Window) map[int64]int {
	n := map[int64]int{}
	for b := range w.Batches(profile.Settings{Period: time.Second, MaxBatchBytes: 1 << 20}, w) {
		for _, rp := range b.Profiles.ResourceProfiles().All() {
			pid, _ := rp.Resource().Attributes().Get("process.pid")
			for _, s := range rp.ScopeProfiles().At(0).Profiles().At(0).Samples().All() {
				n[pid.Int()] += s.TimestampsUnixNano().Len()
			}
		}
	}
	return n
}

func requireLedger(t require.TestingT, p *Pipeline) {
	l := p.Stats().Ledger
	require.Equal(t, l.Seen, l.Held+l.Open+l.Closed+l.LostHold+l.Filtered+l.Undecided, "%+v", l)
}

func fork(k event.KTime, pid uint32, group event.CgroupID, comm byte) event.Lifecycle {
	return event.Lifecycle{
		Kind: event.Fork, KTime: k, Proc: event.ProcID{PID: pid, Start: event.BootTime(pid)}, Cgroup: group, Comm: event.Comm{comm},
	}
}

func TestWhoIsOutIsRejectedUntilItIsOver(t *testing.T) {
	p := filtering(filter.Rules{Include: []filter.Rule{{Comm: "a"}}}, 0)
	exec := fork(1300*ms, 8, event.CgroupID{}, 'a')
	exec.Kind, exec.Generation = event.Exec, 1
	after := sample(1400*ms, 8)
	after.Generation = 1
	p.Batch(&event.Batch{
		Lifecycle: []event.Lifecycle{fork(1050*ms, 7, event.CgroupID{}, 'a'), fork(1050*ms, 8, event.CgroupID{}, 'b')},
		Samples:   []event.Sample{sample(1100*ms, 7), sample(1100*ms, 8), sample(1200*ms, 8)},
	})
	require.Empty(t, p.Complete(1250*ms))
	out := event.LifeID{Proc: after.Proc}
	require.Equal(t, Rulings{Rejected: []event.LifeID{out}}, p.Rulings())
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{exec}, Samples: []event.Sample{after}})
	closed := p.Complete(2000 * ms)
	require.Equal(t, Rulings{Over: []event.LifeID{out}}, p.Rulings())
	require.Equal(t, map[int64]int{7: 1, 8: 1}, pids(closed[0]), "it is in with the file that it executed")
	require.EqualValues(t, 2, p.Stats().Ledger.Filtered)
	require.Len(t, p.selection.candidates, 2)
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{
		{Kind: event.Exit, KTime: 2100 * ms, Proc: after.Proc, Generation: 1},
		{Kind: event.Free, KTime: 2200 * ms, Proc: after.Proc, Generation: 1},
	}})
	p.Complete(2300 * ms)
	require.Len(t, p.selection.candidates, 1, "nothing is kept of who is gone")
	requireLedger(t, p)
}

// A window waits one completion for what decides about a process, and then goes without.
func TestWhoIsUndecidedIsInTheWindowOrNotAsAWhole(t *testing.T) {
	for _, path := range []string{"/in", "/out", ""} {
		t.Run(path, func(t *testing.T) {
			p := filtering(filter.Rules{Include: []filter.Rule{{Cgroup: "/in"}}}, 0)
			p.Batch(&event.Batch{
				Lifecycle: []event.Lifecycle{fork(1050*ms, 7, event.CgroupID{Unified: 5}, 'a')},
				Samples:   []event.Sample{sample(1100*ms, 7), sample(1200*ms, 7), sample(2100*ms, 7)},
			})
			require.Empty(t, p.Complete(1150*ms))
			require.EqualValues(t, 1, p.Stats().Ledger.Open)
			require.Empty(t, p.Complete(2000*ms), "it waits")
			require.Equal(t, []event.CgroupID{{Unified: 5}}, p.GroupRequests(9))
			p.GroupFound(event.CgroupID{Unified: 5}, Group{Path: path})
			closed := p.Complete(2200 * ms)
			requireLedger(t, p)
			l := p.Stats().Ledger
			switch path {
			case "/in":
				require.Equal(t, map[int64]int{7: 2}, pids(closed[0]))
			case "/out":
				require.Empty(t, closed)
				require.EqualValues(t, 3, l.Filtered)
			default:
				require.Empty(t, closed)
				require.EqualValues(t, 2, l.Undecided)
			}
		})
	}
}

func TestAProcessIsOldEnoughWhenAWindowBegins(t *testing.T) {
	p := filtering(filter.Rules{}, 500*time.Millisecond)
	var got []map[int64]int
	for k := start + 50*ms; k <= 4000*ms; k += 50 * ms {
		old, young := sample(k, 7), sample(k, 8)
		old.Birth, young.Birth = 500*ms, 1500*ms+1
		p.Batch(batch(old, young))
		for _, w := range p.Complete(k) {
			got = append(got, pids(w))
		}
	}
	require.Equal(t, []map[int64]int{{7: 20}, {7: 20}, {7: 20, 8: 20}}, got)
	requireLedger(t, p)
}

// Processes beyond the limit share a resource, in which none is that is out.
func TestTheFilterHoldsBeyondTheLimit(t *testing.T) {
	for _, tt := range []struct {
		rule filter.Rule
		want Selection
		left int
	}{
		{filter.Rule{Comm: "b"}, Selection{Undecided: 2}, 3},
		{filter.Rule{PID: new(uint32(5))}, Selection{Filtered: 1}, 4},
	} {
		p := filtering(filter.Rules{Exclude: []filter.Rule{tt.rule}}, 0)
		var b event.Batch
		for pid := range uint32(5) {
			s := sample(1100*ms, pid+1)
			b.Samples = append(b.Samples, s)
			b.Lifecycle = append(b.Lifecycle, fork(1050*ms, pid+1, event.CgroupID{}, 'a'))
		}
		p.Batch(&b)
		closed := p.Complete(2000 * ms)
		require.Len(t, closed, 1)
		require.EqualValues(t, tt.left, closed[0].Samples())
		require.Equal(t, tt.want, p.Stats().Ledger.Selection)
		requireLedger(t, p)
	}
}

func TestWindowsEndAtCuts(t *testing.T) {
	p := newPipeline()
	for k := start + 100*ms; k <= 4000*ms; k += 100 * ms {
		p.Batch(batch(sample(k, 7)))
	}
	p.Cut(1500 * ms)
	p.Cut(2700 * ms)
	p.Cut(2800 * ms)
	var got []string
	for _, w := range p.Complete(4000 * ms) {
		got = append(got, fmt.Sprint(w.Start()/ms, " ", w.End()/ms, " ", w.Samples()))
	}
	require.Equal(t, []string{"1000 1500 5", "1500 2500 10", "2500 2700 2", "2700 2800 1", "2800 3800 10"}, got)
}

// Windows follow one another, each as long as it may be, and end where they have to.
func TestJitter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		jitter := rapid.Float64Range(0.01, 0.9).Draw(t, "jitter")
		p := New(Settings{
			Start: start, Interval: time.Second, MaxHoldBytes: 1 << 20, MaxProcesses: 100, Jitter: jitter,
			Random: func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "random") },
		})
		end := start
		cuts := map[event.KTime]bool{}
		for now := start; now < 9000*ms; {
			now += event.KTime(rapid.IntRange(1, 900).Draw(t, "ms")) * ms
			if rapid.Bool().Draw(t, "cut") {
				cuts[now] = true
				p.Cut(now)
			}
			p.Batch(batch(sample(now, 7)))
			for _, w := range p.Complete(now) {
				require.GreaterOrEqual(t, w.Start(), end)
				length := float64(w.End()-w.Start()) / 1e9
				require.LessOrEqual(t, length, 1+jitter)
				require.True(t, cuts[w.End()] || length >= 1-jitter-1e-6, "%v", length)
				for at := range cuts {
					require.False(t, w.Start() < at && at < w.End(), "cut at %d", at)
				}
				end = w.End()
			}
		}
	})
}

// Whatever is known when, a window has all samples of a life or none, and all are counted.
func TestAWindowHasAllSamplesOfALifeOrNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := filtering(filter.Rules{
			Include: []filter.Rule{{Cgroup: "/in"}, {Executable: "/bin/x"}},
			Exclude: []filter.Rule{{Cgroup: "/both", Executable: "/bin/x"}},
		}, 300*time.Millisecond)
		paths := map[event.CgroupID]string{}
		for id := range uint64(4) {
			paths[event.CgroupID{Unified: id + 1}] = rapid.SampledFrom([]string{"/in", "/out", "/both", ""}).Draw(t, "path")
		}
		sent, now := map[string]int{}, start
		check := func(closed []*Window) {
			for _, w := range closed {
				for pid, n := range pids(w) {
					all := 0
					for k := w.Start() + 10*ms; k <= w.End(); k += 10 * ms {
						all += sent[fmt.Sprint(pid, " ", k)]
					}
					require.Equal(t, all, n, "PID %d in the window to %d", pid, w.End())
				}
			}
		}
		for pid := range uint32(3) {
			p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{fork(1000*ms, pid+1, event.CgroupID{Unified: rapid.Uint64Range(1, 4).Draw(t, "group")}, 'a')}})
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			var b event.Batch
			for range rapid.IntRange(1, 20).Draw(t, "ticks") {
				now += 10 * ms
				s := sample(now, rapid.Uint32Range(1, 3).Draw(t, "pid"))
				s.Birth = event.KTime(s.Proc.PID) * 500 * ms
				b.Samples = append(b.Samples, s)
				sent[fmt.Sprint(s.Proc.PID, " ", now)]++
			}
			p.Batch(&b)
			if rapid.Bool().Draw(t, "groups") {
				for _, id := range p.GroupRequests(1) {
					p.GroupFound(id, Group{Path: paths[id]})
				}
			}
			if rapid.Bool().Draw(t, "read") {
				for _, r := range p.Requests(1) {
					p.Answer(process.Answer{
						Request: r, From: now + 1, To: now + 2, Image: &process.Image{Executable: rapid.SampledFrom([]string{"/bin/x", "/bin/y"}).Draw(t, "executable")},
					})
				}
			}
			check(p.Complete(now))
			requireLedger(t, p)
		}
		check(p.Flush(now + 1000*ms))
		requireLedger(t, p)
	})
}

// Only a group that was asked for everywhere says that it is of no container, and only
// /proc that there is no hierarchy of version 2.
func TestWhatGroupsSayOfALife(t *testing.T) {
	for name, tt := range map[string]struct {
		rule      filter.Rule
		group     Group
		image     *process.Image
		in        bool
		undecided uint64
	}{
		"of no container":        {rule: filter.Rule{Container: "c"}, group: Group{Path: "/", Told: true}, in: true},
		"of none in version 1":   {rule: filter.Rule{Container: "c"}, group: Group{Told: true}, in: true},
		"of a container":         {rule: filter.Rule{Container: "c"}, group: Group{Container: "c"}},
		"not told":               {rule: filter.Rule{Container: "c"}, group: Group{Path: "/"}, undecided: 1},
		"not told but by /proc":  {rule: filter.Rule{Container: "c"}, group: Group{Path: "/"}, image: &process.Image{}, in: true},
		"a path":                 {rule: filter.Rule{Cgroup: "/in"}, group: Group{Path: "/in", Told: true}},
		"no path":                {rule: filter.Rule{Cgroup: "/in"}, group: Group{Told: true}, undecided: 1},
		"no path in /proc":       {rule: filter.Rule{Cgroup: "/in"}, group: Group{Told: true}, image: &process.Image{}, in: true},
		"no path but by /proc":   {rule: filter.Rule{Cgroup: "/in"}, image: &process.Image{Cgroup: "/in"}},
		"a path, /proc says not": {rule: filter.Rule{Cgroup: "/in"}, group: Group{Path: "/in"}, image: &process.Image{Cgroup: "/x"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(Settings{
				Start: start, Interval: time.Second, MaxHoldBytes: 1 << 20, MaxProcesses: 3, MaxSymbolBytes: 1 << 20,
				Filter: filter.Rules{Exclude: []filter.Rule{tt.rule}}, ReadAll: true,
			})
			group := event.CgroupID{Unified: 5}
			p.Batch(&event.Batch{
				Lifecycle: []event.Lifecycle{fork(1050*ms, 7, group, 'a')}, Samples: []event.Sample{sample(1100*ms, 7)},
			})
			p.Complete(1150 * ms)
			p.GroupFound(group, tt.group)
			if tt.image != nil {
				for _, r := range p.Requests(9) {
					p.Answer(process.Answer{Request: r, From: 1160 * ms, To: 1170 * ms, Image: tt.image})
				}
			}
			p.Complete(1200 * ms)
			closed := p.Flush(1300 * ms)
			require.Equal(t, tt.in, len(closed) == 1)
			require.Equal(t, tt.undecided, p.Stats().Ledger.Undecided)
			requireLedger(t, p)
		})
	}
}

// Of who is gone before it is judged the sampler is not told: nothing would end that.
func TestWhoIsGoneIsNotRejected(t *testing.T) {
	p := filtering(filter.Rules{Include: []filter.Rule{{Cgroup: "/in"}}}, 0)
	s := sample(1100*ms, 7)
	p.Batch(&event.Batch{
		Lifecycle: []event.Lifecycle{
			fork(1050*ms, 7, event.CgroupID{Unified: 5}, 'a'),
			{Kind: event.Exit, KTime: 1110 * ms, Proc: s.Proc},
			{Kind: event.Free, KTime: 1120 * ms, Proc: s.Proc},
		},
		Samples: []event.Sample{s},
	})
	p.Complete(1200 * ms)
	p.GroupFound(event.CgroupID{Unified: 5}, Group{Path: "/out"})
	require.Empty(t, p.Flush(1300*ms))
	require.EqualValues(t, 1, p.Stats().Ledger.Filtered)
	require.Equal(t, Rulings{}, p.Rulings())
}
