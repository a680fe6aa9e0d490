// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// duration is how long to measure.
func duration(t testing.TB) time.Duration {
	t.Helper()
	text := os.Getenv("E2E_DURATION")
	if text == "" {
		return 6 * time.Second
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "E2E_DURATION")
	return d
}

// measurement is a stretch of time as the scheduler and the profiler saw it.
type measurement struct {
	rate     int
	burners  []burner
	from, to []reading // of each burner
	// unfired were due on any CPU and never taken. It is read some moments before
	// and behind the measurement, so it is an upper bound.
	unfired float64
	samples []sample
}

// measure profiles two workloads, each on a CPU of its own.
func measure(t *testing.T, rate int, workloads ...workload) measurement {
	m := measurement{rate: rate}
	for cpu, w := range workloads {
		m.burners = append(m.burners, burn(t, w, cpu))
	}
	const id = "ebpf_profiler"
	c := start(t, "one.yaml", fmt.Sprintf("RATE=%d", rate))
	c.waitNamed(id) // the start itself takes CPU time

	var after scrape
	for range 5 { // until the host lets the burners run
		before := c.scrape()
		m.from = m.read(t)
		time.Sleep(duration(t))
		m.to = m.read(t)
		time.Sleep(1500 * time.Millisecond) // until a completion covers it
		after = c.scrape()
		m.unfired = after.ledger(t, id).Unfired - before.ledger(t, id).Unfired
		if m.says() {
			break
		}
	}
	c.stop()

	is := after.ledger(t, id)
	assert.Zero(t, is.Lost, "samples were lost")
	assert.Zero(t, after.sum(t, id, own("late_records")))
	is.requireClosed(t)
	m.samples = readSamples(t, c.file("profiles.otlp"))
	return m
}

// waitNamed waits for a window all of whose frames had been read.
func (c *collector) waitNamed(id string) {
	c.t.Helper()
	for before, n := -1.0, 0; n < 20; n++ {
		time.Sleep(1100 * time.Millisecond)
		s := c.scrape()
		pending := s.sum(c.t, id, own("frames_pending"))
		if s.ledger(c.t, id).Delivered > 0 && pending == before {
			return
		}
		before = pending
	}
}

// due is how many samples a burner's run time makes, and the share of a CPU that it had.
func (m measurement) due(i int) (samples, share float64) {
	ran, elapsed := m.to[i].ran-m.from[i].ran, m.to[i].at.Sub(m.from[i].at)
	return ran.Seconds() * float64(m.rate), min(1, ran.Seconds()/elapsed.Seconds())
}

// says reports whether the measurement says something: the burners ran, and what was due
// fired.
func (m measurement) says() bool {
	for i := range m.burners {
		if due, share := m.due(i); share <= 0.25 || m.unfired >= due/10 {
			return false
		}
	}
	return true
}

func (m measurement) read(t *testing.T) (out []reading) {
	for _, b := range m.burners {
		out = append(out, b.read(t))
	}
	return out
}

func (m measurement) of(i int) []sample {
	return of(m.samples, m.burners[i].pid, m.from[i].at, m.to[i].at)
}

// requireRunTime holds the samples of a burner against its run time. With
// r = run time x rate the rule is
//
//	r - tolerance - unfired <= samples <= r + tolerance + stolen x rate
//
// Samples that never fired cannot be told apart by process, so all of them, on
// every CPU, may be missing here. Time that the hypervisor stole is no run time
// to the scheduler, but the clock that samples goes on: what fell due meanwhile
// fires afterwards, once, and meets the burner. The tolerance is three standard deviations of
// a binomial distribution (each tick meets the burner or not), at high rates at
// least 2 %, plus what the readings leave open: a scheduler tick of 10 ms at each
// end, and one sample.
func (m measurement) requireRunTime(t *testing.T, i int) {
	t.Helper()
	elapsed := m.to[i].at.Sub(m.from[i].at)
	stolen := (m.to[i].stolen - m.from[i].stolen).Seconds()
	rate := float64(m.rate)
	want, share := m.due(i)
	tolerance := 3 * math.Sqrt(elapsed.Seconds()*rate*share*(1-share))
	if m.rate >= 500 {
		tolerance = max(tolerance, want/50)
	}
	tolerance += 2*0.010*rate + 1
	got := float64(len(m.of(i)))
	t.Logf("%d Hz, %s: %.0f samples, run time x rate %.1f (ratio %.4f), tolerance %.1f, unfired %.0f, stolen %.2f s, busy %.3f",
		m.rate, m.burners[i].name, got, want, got/want, tolerance, m.unfired, stolen, share)
	assert.GreaterOrEqual(t, got, want-tolerance-m.unfired)
	assert.LessOrEqual(t, got, want+tolerance+stolen*rate)
	assert.True(t, m.says(), "the burners hardly ran, or so much never fired that the measurement says nothing")
}

// requireIdentity checks that the samples name the instance: PID and start.
func (m measurement) requireIdentity(t *testing.T, i int) {
	t.Helper()
	var boot unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot))
	booted := time.Now().Add(-time.Duration(boot.Nano()))
	want := m.burners[i].sinceBoot(t).Seconds() + 0.005 // the middle of the tick
	for _, s := range m.of(i) {
		created, err := time.Parse(time.RFC3339Nano, s.created)
		require.NoError(t, err)
		// Half a tick, and as much for a wall clock that is being adjusted.
		require.InDelta(t, want, created.Sub(booted).Seconds(), 0.010)
	}
}

// share of samples that have a property.
func share(all []sample, has func(sample) bool) float64 {
	n := 0
	for _, s := range all {
		if has(s) {
			n++
		}
	}
	return float64(n) / float64(len(all))
}

// shows says whether the stack has the functions one below the other.
func shows(chain []string) func(sample) bool {
	return func(s sample) bool {
		for i := 0; i+len(chain) <= len(s.user); i++ {
			if slices.Equal(s.user[i:i+len(chain)], chain) {
				return true
			}
		}
		return false
	}
}

// requireChain checks that almost every sample shows the whole chain; what is
// left are prologues, where the caller's frame is not linked yet.
func (m measurement) requireChain(t *testing.T, i int, chain []string) {
	t.Helper()
	got := share(m.of(i), shows(chain))
	t.Logf("%d Hz, %s: %.3f %% show the whole chain", m.rate, m.burners[i].name, 100*got)
	assert.GreaterOrEqual(t, got, 0.99)
}

func cFunctions() (chain []string) {
	for i := 20; i > 0; i-- {
		chain = append(chain, fmt.Sprintf("chain_%02d", i))
	}
	return append(chain, "main")
}

func goFunctions() []string {
	chain := []string{"main.burn"}
	for i := 7; i > 0; i-- {
		chain = append(chain, fmt.Sprintf("main.link%d", i))
	}
	return append(chain, "main.main")
}

var rates = []int{997, 97}

func TestUserCode(t *testing.T) {
	for _, rate := range rates {
		t.Run(fmt.Sprintf("%dHz", rate), func(t *testing.T) {
			m := measure(t, rate, chainC, chainGo)
			for i := range m.burners {
				m.requireRunTime(t, i)
				m.requireIdentity(t, i)
			}
			m.requireChain(t, 0, cFunctions())
			m.requireChain(t, 1, goFunctions())
		})
	}
}

func TestKernelAndInterpreter(t *testing.T) {
	for _, rate := range rates {
		t.Run(fmt.Sprintf("%dHz", rate), func(t *testing.T) {
			m := measure(t, rate, kernelC, loopPy)
			for i := range m.burners {
				m.requireRunTime(t, i)
				m.requireIdentity(t, i)
			}
			m.requireKernelNames(t, 0)
		})
	}
}

// requireKernelNames checks a burner that lives in the kernel.
func (m measurement) requireKernelNames(t *testing.T, i int) {
	t.Helper()
	samples, frames, named := m.of(i), 0, 0
	for _, s := range samples {
		frames += len(s.kernel)
		named += len(s.kernel) - len(slices.DeleteFunc(slices.Clone(s.kernel), func(f string) bool { return f != "" }))
	}
	require.Positive(t, frames)
	calls := slices.DeleteFunc(slices.Clone(samples), func(s sample) bool { return !slices.Contains(s.kernel, "ksys_read") })
	reads := share(calls, func(s sample) bool { return slices.Contains(s.kernel, "vfs_read") })
	t.Logf("%d Hz, %s: %.3f %% of %d kernel frames have a name, %.2f %% of %d samples in ksys_read are in vfs_read",
		m.rate, m.burners[i].name, 100*float64(named)/float64(frames), frames, 100*reads, len(calls))
	assert.GreaterOrEqual(t, float64(named)/float64(frames), 0.99)
	// The rest of all is the way into the kernel, which takes longer on some machines.
	require.Greater(t, len(calls), len(samples)/2)
	assert.GreaterOrEqual(t, reads, 0.95)
}
