// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// profiled runs a script while a receiver looks and returns what it sent.
func profiled(t *testing.T, lives *workloads.Lives, script string) []pprofile.Profiles {
	t.Helper()
	s := fast()
	s.SamplesPerSecond, s.PollInterval = 997, 10*time.Millisecond
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, s, sink)
	lives.Run(t, "%s", script)
	ledger := receiver.ReadLedger(r)
	require.NoError(t, r.Shutdown(t.Context()))
	requireClosed(t, ledger())
	require.Zero(t, ledger().Late)
	require.Equal(t, ledger().Taken, ledger().Filtered+ledger().Delivered, "%+v", ledger())
	return sink.AllProfiles()
}

// verdict counts samples of the workload by how they were attributed.
type verdict struct {
	// right and wrong have names or addresses that tell the life; unnamed have
	// neither.
	right, unnamed int
	wrong          map[string]int
	// slots are the functions that each instance was seen in.
	slots map[instance]map[string]bool
}

type instance struct {
	pid           int64
	created, name string
}

// judge holds every sample of the two programs against its resource.
func judge(all []pprofile.Profiles, slotOf workloads.SlotOf) *verdict {
	v := &verdict{wrong: map[string]int{}, slots: map[instance]map[string]bool{}}
	workloads.EachSample(all, slotOf, func(a pcommon.Map, slot string, n int) {
		in := instance{text(a, "process.pid").Int(), text(a, "process.creation.time").Str(),
			text(a, "process.executable.name").Str()}
		switch {
		case slot == "" && (in.name == "alpha" || in.name == "beta"):
			v.unnamed += n
		case slot == "":
		case workloads.ProgramOf(slot) != in.name:
			v.wrong[fmt.Sprintf("%s in %+v", slot, in)] += n
		default:
			v.right += n
			if v.slots[in] == nil {
				v.slots[in] = map[string]bool{}
			}
			v.slots[in][slot] = true
		}
	})
	return v
}

func text(m pcommon.Map, key string) pcommon.Value {
	if v, ok := m.Get(key); ok {
		return v
	}
	return pcommon.NewValueEmpty()
}

func (v *verdict) require(t *testing.T, atLeast int) {
	t.Helper()
	t.Logf("%d samples right, %d unnamed, %d instances", v.right, v.unnamed, len(v.slots))
	require.Empty(t, v.wrong)
	require.GreaterOrEqual(t, v.right, atLeast, "the test has no power")
	for in, slots := range v.slots {
		assert.Len(t, slots, 1, "%+v", in)
	}
}

// turns is a script of lives on one PID that last 2 to 20 ms; exec says which
// program is next.
func turns(t *testing.T, n int, exec func(i int) string) string {
	pid, random := workloads.FreePID(t), rand.New(rand.NewPCG(3, 4))
	var script strings.Builder
	for i := range n {
		fmt.Fprintf(&script, "at %d ( exec %s burn %d %d ) ", pid, exec(i), i/2, 2+random.IntN(19))
	}
	return script.String()
}

func lifeCount() int {
	if testing.Short() {
		return 100
	}
	return 500
}

func TestProgramsThatTakeTurnsOnAPIDKeepTheirSamples(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	lives := workloads.BuildLives(t)
	n := lifeCount()
	v := judge(profiled(t, lives, turns(t, n, lives.Program)), lives.ByAddress)
	v.require(t, n)
	require.Greater(t, len(v.slots), n/2)
}

// The kernel chooses the addresses, so a name proves that the right file was read.
func TestNamesAreThoseOfTheProgramThatRan(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	lives := workloads.BuildRelocatedLives(t)
	n := lifeCount()
	v := judge(profiled(t, lives, turns(t, n, lives.Program)), workloads.ByName)
	v.require(t, 2*n)
}

// table is a receiver whose process table is looked at from outside.
type table struct {
	*receiver.Receiver
	tel *componenttest.Telemetry
	id  string
}

func startTable(t *testing.T, s receiver.Settings, sink *consumertest.ProfilesSink) table {
	t.Helper()
	roottest.Need(t)
	tel := componenttest.NewTelemetry()
	set := metadatatest.NewSettings(tel)
	r := receiver.New(set, s, receiver.OpenKernel, sink)
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { _ = r.Shutdown(context.Background()) }) // of a test that failed
	return table{r, tel, set.ID.String()}
}

func (tab table) metric(t *testing.T, name string) int64 {
	t.Helper()
	n, _ := sum(t, tab.tel, name, tab.id)
	return n
}

// requireOnlyTheLiving waits until the table knows who lives, and nobody else.
// Who was not seen to be freed is overdue after ten seconds, and looked for every
// five.
func (tab table) requireOnlyTheLiving(t *testing.T) {
	t.Helper()
	known := func() int64 { return tab.metric(t, "processes") }
	require.Eventually(t, func() bool { return known() <= existing(t)+5 }, 40*time.Second, 100*time.Millisecond,
		"%d known, %d exist", known(), existing(t))
}

// existing counts processes, zombies and kernel threads included.
func existing(t *testing.T) int64 {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	return int64(len(all))
}

func TestNoProcessStaysInTheTable(t *testing.T) {
	tab := startTable(t, fast(), &consumertest.ProfilesSink{})
	lives, n := workloads.BuildLives(t), 3*lifeCount()
	lives.Run(t, "repeat %d ( fork ( exec %s burn 1 1 ) )", n, lives.Beta)
	tab.requireOnlyTheLiving(t)
	require.Eventually(t, func() bool { return tab.metric(t, "evictions") >= int64(n) }, 40*time.Second, 100*time.Millisecond)
	before := tab.metric(t, "evictions")
	// A completion every 100 ms covers the free: five times that and a drain.
	evicted, soon := tab.evictions(t, time.Second)
	require.GreaterOrEqual(t, evicted, uint64(before))
	require.LessOrEqual(t, evicted, uint64(tab.metric(t, "evictions")))
	require.Greater(t, soon, evicted*9/10)
	require.NoError(t, tab.Shutdown(t.Context()))
}

// evictions counts those of the latency histogram, and those that came within a
// time, one of its bounds.
func (tab table) evictions(t *testing.T, within time.Duration) (all, soon uint64) {
	t.Helper()
	m, err := tab.tel.GetMetric(prefix + "eviction_latency")
	require.NoError(t, err)
	p := m.Data.(metricdata.Histogram[float64]).DataPoints[0]
	for i, bound := range p.Bounds {
		if bound <= within.Seconds() {
			soon += p.BucketCounts[i]
		}
	}
	return p.Count, soon
}

// A ring of one page has no room for a storm of forks between two polls.
func TestLostLifecycleRecordsNeitherLeakNorLie(t *testing.T) {
	s := fast()
	s.SamplesPerSecond, s.RingBufferSize, s.PollInterval, s.CompletionInterval = 997, os.Getpagesize(), time.Second, time.Second
	s.ReporterInterval = 5 * time.Second // the files of a window are read while it fills
	sink := &consumertest.ProfilesSink{}
	lives, n := workloads.BuildLives(t), 3*lifeCount()
	tab := startTable(t, s, sink)
	lives.Run(t, "fork ( exec %s burn 1 600 fork ( repeat %d ( fork ( exec %s burn 2 1 ) ) ) burn 1 300 )",
		lives.Beta, n, lives.Alpha)
	require.Eventually(t, func() bool { return tab.metric(t, "lifecycle_lost") > 0 }, 10*time.Second, 50*time.Millisecond,
		"nothing was lost: the test has no power")
	tab.requireOnlyTheLiving(t)
	require.Positive(t, tab.metric(t, "reconciliations"))
	require.Zero(t, tab.metric(t, "late_records"))
	require.NoError(t, tab.Shutdown(t.Context()))
	least := 5
	if testing.Short() {
		least = 0 // few lives are sampled, and fewer have their names in time
	}
	judge(sink.AllProfiles(), lives.ByAddress).require(t, least)
}

// At the limit who has exited makes room, and who finds none shares a resource: both are
// counted.
func TestBeyondTheLimitOfProcesses(t *testing.T) {
	roottest.Need(t)
	const more = 40
	s := fast()
	s.SamplesPerSecond, s.MaxProcesses = 997, int(existing(t))+more/2
	tab := startTable(t, s, &consumertest.ProfilesSink{})
	start := func(program string, args ...string) (end func()) {
		c := exec.Command(program, args...)
		require.NoError(t, c.Start())
		return func() { _ = c.Process.Kill(); _ = c.Wait() }
	}
	counted := func(metrics ...string) {
		require.Eventually(t, func() bool {
			return !slices.ContainsFunc(metrics, func(m string) bool { return tab.metric(t, m) == 0 })
		}, 20*time.Second, 50*time.Millisecond, "%v", metrics)
	}
	var ends []func()
	for range more {
		ends = append(ends, start("true")) // a zombie until it is waited for
	}
	counted("evictions_early")
	require.Zero(t, tab.metric(t, "samples_overflowed"))
	for _, end := range ends {
		end()
	}
	ends = nil
	for range more {
		ends = append(ends, start("sh", "-c", "while :; do :; done"))
	}
	counted("processes_refused", "samples_overflowed")
	for _, end := range ends {
		end()
	}
	require.NoError(t, tab.Shutdown(t.Context()))
}
