// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/otlpcheck"
)

const (
	ms    = event.KTime(time.Millisecond)
	start = 1000 * ms
)

func newPipeline() *Pipeline {
	return New(Settings{
		Start: start, Interval: time.Second, MaxHoldBytes: 1 << 20, MaxProcesses: 100, MaxSymbolBytes: 1 << 20, JIT: true, Inline: true,
	})
}

func sample(k event.KTime, pid uint32, user ...uint64) event.Sample {
	return event.Sample{
		KTime: k, Proc: event.ProcID{PID: pid, Start: event.BootTime(pid)}, TID: pid,
		Comm: event.Comm{'t'}, Kernel: []uint64{0xffffffff81000000}, User: user,
	}
}

func batch(samples ...event.Sample) *event.Batch { return &event.Batch{Samples: samples} }

func TestSamplesWaitForTheirCompletion(t *testing.T) {
	p := newPipeline()
	p.Batch(batch(sample(1500*ms, 7), sample(1600*ms, 7)))
	require.Empty(t, p.Complete(1550*ms))
	require.Equal(t, Ledger{Seen: 2, Held: 1, Open: 1}, p.Stats().Ledger)
	oldest, ok := p.Oldest()
	require.True(t, ok)
	require.Equal(t, 1500*ms, oldest)
}

func TestAWindowClosesWhenTheWatermarkReachesItsEnd(t *testing.T) {
	p := newPipeline()
	p.Batch(batch(sample(2000*ms, 7), sample(2001*ms, 7), sample(1999*ms, 8)))
	require.Empty(t, p.Complete(1999*ms))
	closed := p.Complete(2000 * ms)
	require.Len(t, closed, 1)
	require.EqualValues(t, 2, closed[0].Samples(), "a sample on the edge belongs to the window that ends")
	require.Equal(t, Ledger{Seen: 3, Held: 1, Closed: 2}, p.Stats().Ledger)
}

func TestWindowsWithoutSamplesAreSkipped(t *testing.T) {
	p := newPipeline()
	p.Batch(batch(sample(9500*ms, 7)))
	closed := p.Complete(10_000 * ms)
	require.Len(t, closed, 1)
	require.Equal(t, 9000*ms, closed[0].Start())
	require.Equal(t, 10_000*ms, closed[0].End())
}

func TestAFullWindowEndsEarly(t *testing.T) {
	p := newPipeline()
	p.settings.MaxWindowSamples = 2
	p.Batch(batch(sample(1100*ms, 7), sample(1200*ms, 7), sample(1300*ms, 7)))
	closed := p.Complete(1250 * ms)
	require.Len(t, closed, 1)
	require.Equal(t, 1250*ms, closed[0].End())
	closed = p.Flush(1400 * ms)
	require.Len(t, closed, 1)
	require.Equal(t, 1250*ms, closed[0].Start(), "windows never overlap")
}

func TestTheLastWindowEndsEarly(t *testing.T) {
	p := newPipeline()
	p.Batch(batch(sample(1100*ms, 7)))
	closed := p.Flush(1200 * ms)
	require.Len(t, closed, 1)
	require.Equal(t, 1200*ms, closed[0].End())
	require.Equal(t, Ledger{Seen: 1, Closed: 1}, p.Stats().Ledger)
}

func TestLateRecordsAreCounted(t *testing.T) {
	p := newPipeline()
	p.Complete(1500 * ms)
	p.Batch(batch(sample(1500*ms, 7), sample(1501*ms, 7)))
	require.EqualValues(t, 1, p.Stats().Ledger.Late)
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{{Kind: event.Exit, KTime: 1500 * ms}, {Kind: event.Exit, KTime: 1501 * ms}}})
	require.EqualValues(t, 2, p.Stats().Ledger.Late)
	p.Batch(&event.Batch{Mapped: []event.Mapped{{KTime: 1500 * ms}, {KTime: 1501 * ms}}})
	require.EqualValues(t, 3, p.Stats().Ledger.Late)
}

func TestAnExecIsAppliedBeforeTheSamplesItCovers(t *testing.T) {
	p := newPipeline()
	before, after := sample(1100*ms, 7), sample(1300*ms, 7)
	after.Generation = 1
	// The records arrive in the worst order: the sample of the new image first.
	p.Batch(batch(after, before))
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{
		{Kind: event.Exec, KTime: 1200 * ms, Proc: before.Proc, Generation: 1, Comm: event.Comm{'n', 'e', 'w'}},
	}})
	closed := p.Flush(1400 * ms)
	require.Len(t, closed, 1)
	var names []string
	for b := range closed[0].Batches(profile.Settings{Period: time.Second, MaxBatchBytes: 1 << 20}, closed[0]) {
		require.NoError(t, otlpcheck.Check(b.Profiles))
		for _, rp := range b.Profiles.ResourceProfiles().All() {
			name, _ := rp.Resource().Attributes().Get("process.executable.name")
			names = append(names, name.Str())
		}
	}
	require.Equal(t, []string{"t", "new"}, names)
}

// answer plays /proc: everybody has one mapping at 0x1000, without a file.
func answer(p *Pipeline, at event.KTime) {
	for _, r := range p.Requests(100) {
		p.Answer(process.Answer{
			Request: r, From: at, To: at + 1, StartTick: uint64(r.Proc.Start) / 10_000_000,
			Image:    &process.Image{Executable: "/bin/x"},
			Mappings: []event.Mapping{{Start: 0x1000, End: 0x2000, Path: "//anon"}},
		})
	}
}

func TestAMappingIsKnownOnceTheReadIsCovered(t *testing.T) {
	p := newPipeline()
	s := sample(1100*ms, 7, 0x1010)
	p.Scan([]event.Task{{Proc: s.Proc}}, 1010*ms, 1020*ms)
	p.Batch(batch(s))
	answer(p, 1200*ms)
	closed := p.Flush(1300 * ms)
	l := closed[0].Resolve(profile.Frame{Binary: firstMapped, Offset: 0x1010})
	require.Equal(t, profile.Location{
		Mapping: profile.Mapping{Filename: "//anon"}, Address: 0x1010, FrameType: "native",
	}, l)
}

// Nothing is lost, doubled or put into the wrong window, whatever the order.
func TestEverySampleIsInItsWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPipeline()
		now, until := start, event.KTime(0)
		sent, got := map[event.KTime]int{}, 0
		check := func(closed []*Window) {
			for _, w := range closed {
				inside := 0
				for k, n := range sent {
					if w.Start() < k && k <= w.End() {
						inside += n
					}
				}
				require.EqualValues(t, inside, w.Samples())
				got += inside
			}
		}
		total := 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now += event.KTime(rapid.IntRange(1, 700).Draw(t, "ms")) * ms
			var b event.Batch
			for range rapid.IntRange(0, 5).Draw(t, "samples") {
				k := until + 1 + event.KTime(rapid.Uint64Range(0, uint64(now-max(until, start))).Draw(t, "age"))
				k = max(k, start+1)
				b.Samples = append(b.Samples, sample(k, rapid.Uint32Range(1, 4).Draw(t, "pid"), 0x1010))
				sent[k]++
				total++
			}
			p.Batch(&b)
			answer(p, now)
			if rapid.Bool().Draw(t, "complete") {
				until = now - 300*ms
				check(p.Complete(until))
			}
			l := p.Stats().Ledger
			require.Equal(t, l.Seen, l.Held+l.Open+l.Closed+l.LostHold)
			require.Zero(t, l.Late)
		}
		check(p.Flush(now + 1000*ms))
		require.Equal(t, total, got)
	})
}

func BenchmarkSampleThroughThePipeline(b *testing.B) {
	p := newPipeline()
	user := make([]uint64, 30)
	for i := range user {
		user[i] = 0x1000 + uint64(i)
	}
	in := batch(sample(start, 7, user...))
	b.ReportAllocs()
	for i := range b.N {
		in.Samples[0].KTime = start + event.KTime(i+1)*1000
		p.Batch(in)
		if i%100 == 99 {
			answer(p, in.Samples[0].KTime)
			p.Complete(in.Samples[0].KTime)
		}
	}
}
