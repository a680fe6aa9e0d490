// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// coverage is what profiles tell of the processes of one program.
type coverage struct {
	// samples, and of how many the path of the program is known.
	samples, placed int
	// leaves are innermost user frames, mapped those in a mapping that is known.
	leaves, mapped int
	// own are frames in the program itself, named those with a function.
	own, named int
}

func (c *coverage) add(d pprofile.ProfilesDictionary, s pprofile.Sample, program string) {
	n, leaf := s.TimestampsUnixNano().Len(), true
	for _, i := range d.StackTable().At(int(s.StackIndex())).LocationIndices().All() {
		l := d.LocationTable().At(int(i))
		if frameType(d, l) == "kernel" {
			continue
		}
		file := d.StringTable().At(int(d.MappingTable().At(int(l.MappingIndex())).FilenameStrindex()))
		if leaf {
			c.leaves += n
			if file != "" {
				c.mapped += n
			}
			leaf = false
		}
		if file == program {
			c.own += n
			if l.Lines().Len() > 0 {
				c.named += n
			}
		}
	}
}

func frameType(d pprofile.ProfilesDictionary, l pprofile.Location) string {
	for _, i := range l.AttributeIndices().All() {
		a := d.AttributeTable().At(int(i))
		if d.StringTable().At(int(a.KeyStrindex())) == "profile.frame.type" {
			return a.Value().Str()
		}
	}
	return ""
}

// coverageOf reads what profiles tell of processes with the name of the program.
func coverageOf(all []pprofile.Profiles, name, program string) (c coverage) {
	for _, p := range all {
		for _, rp := range p.ResourceProfiles().All() {
			a := rp.Resource().Attributes()
			if text(a, "process.executable.name").Str() != name {
				continue
			}
			placed := text(a, "process.executable.path").Str() == program
			for _, sp := range rp.ScopeProfiles().All() {
				for _, profile := range sp.Profiles().All() {
					for _, s := range profile.Samples().All() {
						n := s.TimestampsUnixNano().Len()
						c.samples += n
						if placed {
							c.placed += n
						}
						c.add(p.Dictionary(), s, program)
					}
				}
			}
		}
	}
	return c
}

func (c coverage) require(t *testing.T, atLeast int) {
	t.Helper()
	t.Logf("%d samples, %.2f %% with path; %d user stacks, %.2f %% begin in a mapping; %d frames in the program, %.2f %% named",
		c.samples, percent(c.placed, c.samples), c.leaves, percent(c.mapped, c.leaves), c.own, percent(c.named, c.own))
	require.Greater(t, c.samples, atLeast, "the test has no power")
	require.Greater(t, c.own, atLeast, "the test has no power")
	require.GreaterOrEqual(t, percent(c.placed, c.samples), 99.0)
	require.GreaterOrEqual(t, percent(c.mapped, c.leaves), 99.0)
	require.GreaterOrEqual(t, percent(c.named, c.own), 95.0)
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }

// burned is how many milliseconds the short lives of a test burn.
func burned() int {
	if testing.Short() {
		return 500
	}
	return 2000
}

// profiledAsConfigured runs a script while a receiver looks with the intervals that
// a user has.
func profiledAsConfigured(t *testing.T, lives *workloads.Lives, script string) []pprofile.Profiles {
	t.Helper()
	s := fast()
	s.SamplesPerSecond, s.PollInterval, s.CompletionInterval = 997, 250*time.Millisecond, 500*time.Millisecond
	s.ReporterInterval = 2 * time.Second
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, s, sink)
	lives.Run(t, "%s", script)
	// A file is asked for at the completion that covers the first sample in it.
	time.Sleep(1200 * time.Millisecond)
	ledger := receiver.ReadLedger(r)
	require.NoError(t, r.Shutdown(t.Context()))
	requireClosed(t, ledger())
	require.Zero(t, ledger().Late)
	return sink.AllProfiles()
}

// A process counts however short it lives, also of a program that nobody has run
// before.
func TestShortLivesAreCovered(t *testing.T) {
	roottest.Need(t)
	starter := workloads.BuildLives(t)
	for _, ms := range []int{1, 2, 5, 10, 20, 50, 200} {
		t.Run(fmt.Sprint(ms, "_ms"), func(t *testing.T) {
			fresh := workloads.BuildRelocatedLives(t).Beta
			all := profiledAsConfigured(t, starter,
				fmt.Sprintf("repeat %d ( vfork ( exec %s burn 3 %d ) )", max(3, burned()/ms), fresh, ms))
			require.Empty(t, judge(all, workloads.ByName).wrong)
			coverageOf(all, "beta", fresh).require(t, burned()/4)
		})
	}
}

// The same where PIDs come back at once: programs take turns on few of them.
func TestShortLivesOnFewPIDsAreCovered(t *testing.T) {
	roottest.Need(t)
	const pids, ms = 48, 2
	fresh := workloads.BuildRelocatedLives(t)
	first := workloads.FreePID(t)
	var script strings.Builder
	for i := range burned() / ms {
		fmt.Fprintf(&script, "at %d ( exec %s burn %d %d ) ", first+i%pids, fresh.Program(i/pids+i), i%16, ms)
	}
	all := profiledAsConfigured(t, workloads.BuildLives(t), script.String())
	v := judge(all, workloads.ByName)
	require.Empty(t, v.wrong)
	for in, slots := range v.slots {
		require.Len(t, slots, 1, "%+v", in)
	}
	// Who starts them is an alpha too.
	coverageOf(all, "beta", fresh.Beta).require(t, burned()/8)
}
