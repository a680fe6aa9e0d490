// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/filter"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/metadatatest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/source"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// filtering are settings that sample often and complete often.
func filtering(f receiver.Filter) receiver.Settings {
	s := fast()
	s.SamplesPerSecond, s.PollInterval = 997, 10*time.Millisecond
	s.Filter = f
	return s
}

// filtered profiles what runs through a filter and returns what was sent, after a look
// at the accounts.
func filtered(t *testing.T, f receiver.Filter, run func()) ([]pprofile.Profiles, receiver.Ledger) {
	t.Helper()
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, filtering(f), sink)
	run()
	ledger := receiver.ReadLedger(r)
	require.NoError(t, r.Shutdown(t.Context()))
	l := ledger()
	t.Logf("%+v", l)
	requireClosed(t, l)
	require.Zero(t, l.Late)
	require.Equal(t, l.Expected, l.Taken+l.Unfired)
	require.Equal(t, l.Delivered, timestamps(sink.AllProfiles()))
	return sink.AllProfiles(), l
}

// counts are samples by the program that runs: alpha, beta or other. Where a function
// tells which program it is of, that has to be so.
func counts(t *testing.T, all []pprofile.Profiles, lives *workloads.Lives) map[string]int {
	t.Helper()
	programs := map[string]string{lives.Alpha: "alpha", lives.Beta: "beta"}
	n := map[string]int{}
	workloads.EachSample(all, lives.ByAddress, func(a pcommon.Map, slot string, samples int) {
		program := cmp.Or(programs[text(a, "process.executable.path").Str()], "other")
		n[program] += samples
		if slot != "" && program != "other" {
			require.Equal(t, program, workloads.ProgramOf(slot))
			n["named"] += samples
		}
	})
	t.Log(n)
	return n
}

func include(rules ...filter.Rule) receiver.Filter { return receiver.Filter{Include: wrap(rules)} }
func exclude(rules ...filter.Rule) receiver.Filter { return receiver.Filter{Exclude: wrap(rules)} }

func wrap(rules []filter.Rule) (out []receiver.Rule) {
	for _, r := range rules {
		out = append(out, receiver.Rule{Rule: r})
	}
	return out
}

func to[T any](v T) *T { return &v }

// open makes files of a test readable for every user.
func open(t *testing.T, path string) {
	t.Helper()
	for dir := filepath.Dir(path); dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
}

const nobody = 65534

// Of two programs that burn side by side, for long, one is profiled.
func TestFilterByAttribute(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	lives := workloads.BuildLives(t)
	open(t, lives.Beta)
	group := filepath.Join(cgroupRoot(t, "cgroup2"), fmt.Sprintf("filter-test-%d", os.Getpid()))
	require.NoError(t, os.Mkdir(group, 0o755))
	t.Cleanup(func() { _ = os.Remove(group) })
	at, err := os.Open(group)
	require.NoError(t, err)
	defer at.Close()
	// Beta is another user's, in a control group of its own.
	start := func() (alpha, beta *exec.Cmd) {
		alpha = exec.Command(lives.Alpha, "burn", "0", "2500")
		beta = exec.Command(lives.Beta, "burn", "1", "2500")
		beta.SysProcAttr = &syscall.SysProcAttr{
			UseCgroupFD: true, CgroupFD: int(at.Fd()), Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
		}
		require.NoError(t, alpha.Start())
		require.NoError(t, beta.Start())
		return alpha, beta
	}
	await := func(commands ...*exec.Cmd) {
		for _, c := range commands {
			require.NoError(t, c.Wait())
		}
	}
	for _, test := range []struct {
		name        string
		filter      receiver.Filter
		alpha, beta bool
		others      bool
	}{
		{"include executable", include(filter.Rule{Executable: filepath.Dir(lives.Alpha) + "/*"}), true, false, false},
		{"exclude executable", exclude(filter.Rule{Executable: "**/alpha"}), false, true, true},
		{"include comm", include(filter.Rule{Comm: "bet?"}), false, true, false},
		{"exclude comm", exclude(filter.Rule{Comm: "beta"}), true, false, true},
		{"include cgroup", include(filter.Rule{Cgroup: "/filter-test-*/**"}), false, true, false},
		{"exclude cgroup", exclude(filter.Rule{Cgroup: "/" + filepath.Base(group)}), true, false, true},
		{"include user", include(filter.Rule{User: to[uint32](nobody)}), false, true, false},
		{"include user by name", receiver.Filter{Include: []receiver.Rule{{UserName: "nobody"}}}, false, true, false},
		{"exclude user", exclude(filter.Rule{User: to[uint32](nobody)}), true, false, true},
		{"both", receiver.Filter{
			Include: wrap([]filter.Rule{{Comm: "alpha"}, {Comm: "beta", User: to[uint32](nobody)}}),
			Exclude: wrap([]filter.Rule{{Executable: "**/{beta,gamma}"}}),
		}, true, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			all, l := filtered(t, test.filter, func() { await(start()) })
			n := counts(t, all, lives)
			for program, in := range map[string]bool{"alpha": test.alpha, "beta": test.beta} {
				if in {
					require.Greater(t, n[program], 100)
				} else {
					require.Zero(t, n[program], "who is out is out from the first sample on")
				}
			}
			if !test.others {
				// A child is the user's, and in the control group, before it executes a file.
				require.Less(t, n["other"], 20)
			}
			require.Greater(t, l.Unsent, l.Reasons["filter"]/10, "the sampler drops most")
		})
	}
	t.Run("include pid", func(t *testing.T) {
		alpha, beta := start() // they run before
		all, _ := filtered(t, include(filter.Rule{PID: to(uint32(beta.Process.Pid))}), func() { await(alpha, beta) })
		require.Greater(t, counts(t, all, lives)["beta"], 100)
		eachSample(all, func(a pcommon.Map, _ pprofile.ProfilesDictionary, _ pprofile.Sample) {
			require.EqualValues(t, beta.Process.Pid, text(a, "process.pid").Int())
		})
	})
}

// Of processes that live for 5 ms none of those that are out is sent, and all of those
// that are in: as many samples as another receiver has that filters nothing.
func TestFilterShortLives(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	lives := workloads.BuildLives(t)
	whole := &consumertest.ProfilesSink{}
	other := startKernel(t, filtering(receiver.Filter{}), whole)
	all, l := filtered(t, include(filter.Rule{Executable: lives.Beta}), func() {
		lives.Run(t, "repeat 150 ( fork ( burn 0 5 ) vfork ( exec %s burn 1 5 ) fork ( exec %s burn 2 5 ) )", lives.Beta, lives.Alpha)
	})
	require.NoError(t, other.Shutdown(t.Context()))
	want, got := counts(t, whole.AllProfiles(), lives), counts(t, all, lives)
	require.Greater(t, want["alpha"], 150)
	require.Greater(t, want["beta"], 150)
	require.InEpsilon(t, want["beta"], got["beta"], 0.3, "two clocks tick")
	require.Zero(t, got["alpha"]+got["other"])
	require.Zero(t, l.Reasons["undecided"])
}

// A process becomes another program, and is in or out with that.
func TestFilterAcrossExec(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	lives := workloads.BuildLives(t)
	all, l := filtered(t, include(filter.Rule{Executable: lives.Beta}), func() {
		lives.Run(t, "burn 2 900 exec %s burn 3 900 exec %s burn 4 800 exec %s burn 5 400", lives.Beta, lives.Alpha, lives.Beta)
	})
	n := counts(t, all, lives)
	require.Greater(t, n["beta"], 100)
	require.Zero(t, n["alpha"]+n["other"])
	require.Greater(t, l.Unsent, uint64(100))
	var times []uint64
	eachSample(all, func(_ pcommon.Map, _ pprofile.ProfilesDictionary, s pprofile.Sample) {
		times = append(times, s.TimestampsUnixNano().AsRaw()...)
	})
	slices.Sort(times)
	pause := uint64(0)
	for i := range times[1:] {
		pause = max(pause, times[i+1]-times[i])
	}
	require.Greater(t, time.Duration(pause), 600*time.Millisecond, "it is in again after it was out")
}

// A process is in the first window that begins when it is old enough, and in all later.
func TestFilterByAge(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	lives := workloads.BuildLives(t)
	const age = 1500 * time.Millisecond
	old := exec.Command(lives.Alpha, "burn", "0", "60000")
	require.NoError(t, old.Start())
	defer func() { _ = old.Process.Kill(); _ = old.Wait() }()
	time.Sleep(age)
	all, l := filtered(t, receiver.Filter{MinAge: age}, func() {
		lives.Run(t, "fork ( exec %s burn 1 4500 )", lives.Beta)
	})
	require.Positive(t, l.Unsent)
	var born time.Time
	eachSample(all, func(a pcommon.Map, _ pprofile.ProfilesDictionary, _ pprofile.Sample) {
		if text(a, "process.executable.path").Str() != lives.Beta {
			return
		}
		var err error
		born, err = time.Parse(time.RFC3339Nano, text(a, "process.creation.time").Str())
		require.NoError(t, err)
	})
	var with, without int
	for _, p := range all {
		n := counts(t, []pprofile.Profiles{p}, lives)
		require.Positive(t, n["alpha"])
		profile := p.ResourceProfiles().At(0).ScopeProfiles().At(0).Profiles().At(0)
		ripe := profile.Time().AsTime().Sub(born) - age
		t.Log(ripe)
		switch {
		case n["beta"] > 0:
			require.Greater(t, ripe, -50*time.Millisecond)
			with++
		default:
			require.Less(t, ripe, 200*time.Millisecond)
			without++
		}
	}
	require.GreaterOrEqual(t, without, 2)
	require.GreaterOrEqual(t, with, 2)
}

// A reload shuts the receiver down and starts one with another filter. What is between the
// last sample of the one and the first of the other is the gap.
func TestAnotherFilterAfterAReload(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	lives := workloads.BuildLives(t)
	busy := []*exec.Cmd{exec.Command(lives.Alpha, "burn", "0", "60000"), exec.Command(lives.Beta, "burn", "1", "60000")}
	for _, c := range busy {
		require.NoError(t, c.Start())
		t.Cleanup(func() {
			require.NoError(t, c.Process.Kill())
			_ = c.Wait()
		})
	}
	sinks := []*consumertest.ProfilesSink{{}, {}}
	first := startKernel(t, filtering(include(filter.Rule{Executable: lives.Alpha})), sinks[0])
	time.Sleep(1500 * time.Millisecond)
	began, before := time.Now(), ownCPU(t)
	require.NoError(t, first.Shutdown(t.Context()))
	down := time.Since(began)
	second := startKernel(t, filtering(include(filter.Rule{Executable: lives.Beta})), sinks[1])
	took, cpu := time.Since(began), ownCPU(t)-before
	time.Sleep(1500 * time.Millisecond)
	require.NoError(t, second.Shutdown(t.Context()))

	var last, next uint64
	for i, program := range []string{"alpha", "beta"} {
		n := counts(t, sinks[i].AllProfiles(), lives)
		require.Positive(t, n[program])
		require.Zero(t, n["alpha"]+n["beta"]+n["other"]-n[program])
	}
	eachSample(sinks[0].AllProfiles(), func(_ pcommon.Map, _ pprofile.ProfilesDictionary, s pprofile.Sample) {
		last = max(last, slices.Max(s.TimestampsUnixNano().AsRaw()))
	})
	next = math.MaxUint64
	eachSample(sinks[1].AllProfiles(), func(_ pcommon.Map, _ pprofile.ProfilesDictionary, s pprofile.Sample) {
		next = min(next, slices.Min(s.TimestampsUnixNano().AsRaw()))
	})
	require.Less(t, last, next)
	gap := time.Duration(next - last)
	t.Logf("a gap of %v; %v to shut down, %v in all, %v of user CPU", gap, down, took, cpu)
	require.Less(t, gap, 10*time.Second)
}

func TestFilterNamesAUserThatIsNotThere(t *testing.T) {
	roottest.Need(t)
	s := fast()
	s.Filter.Exclude = []receiver.Rule{{UserName: "nobody-at-all"}}
	r := receiver.New(metadatatest.NewSettings(componenttest.NewTelemetry()), s, receiver.OpenKernel, consumertest.NewNop())
	require.EqualError(t, r.Start(t.Context(), componenttest.NewNopHost()),
		`filter::exclude: user: /etc/passwd has no user "nobody-at-all": name a user of the host, or a number`)
}

// What the receiver takes while 200 processes are busy, all or one of which it profiles.
func BenchmarkOneOfTwoHundred(b *testing.B) {
	roottest.Need(b)
	lives := workloads.BuildLives(b)
	for i := range 200 {
		c := exec.Command("nice", "-n", "19", lives.Program(min(i, 1)), "burn", "0", "600000")
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		require.NoError(b, c.Start())
		b.Cleanup(func() {
			_ = c.Process.Kill()
			_ = c.Wait()
		})
	}
	for _, bb := range []struct {
		name   string
		filter receiver.Filter
	}{{"all", receiver.Filter{}}, {"one", include(filter.Rule{Executable: lives.Alpha})}} {
		b.Run(bb.name, func(b *testing.B) {
			s := filtering(bb.filter)
			s.PollInterval, s.CompletionInterval, s.ReporterInterval = 250*time.Millisecond, 500*time.Millisecond, 5*time.Second
			r := receiver.New(metadatatest.NewSettings(componenttest.NewTelemetry()), s, receiver.OpenKernel, consumertest.NewNop())
			require.NoError(b, r.Start(b.Context(), componenttest.NewNopHost()))
			time.Sleep(6 * time.Second) // files are read once
			ledger := receiver.ReadLedger(r)
			before, from := ownCPU(b), ledger()
			for b.Loop() {
				time.Sleep(10 * time.Second)
			}
			after, to := ownCPU(b), ledger()
			require.NoError(b, r.Shutdown(b.Context()))
			b.ReportMetric(float64((after-before).Microseconds())/1e4/b.Elapsed().Seconds(), "%user")
			b.ReportMetric(float64(to.Taken-from.Taken)/b.Elapsed().Seconds(), "taken/s")
			b.ReportMetric(100*float64(to.Unsent-from.Unsent)/float64(to.Taken-from.Taken), "%unsent")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// ownCPU is the time that this process was in user space.
func ownCPU(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano())
}

// ruled is a source that keeps whose samples the sampler was told to drop.
type ruled struct {
	receiver.Source
	mu   sync.Mutex
	now  map[event.LifeID]struct{}
	ever int
}

func (s *ruled) Reject(id event.LifeID) error {
	s.mu.Lock()
	s.now[id] = struct{}{}
	s.ever++
	s.mu.Unlock()
	return s.Source.Reject(id)
}

func (s *ruled) Readmit(id event.LifeID) error {
	s.mu.Lock()
	delete(s.now, id)
	s.mu.Unlock()
	return s.Source.Readmit(id)
}

// over counts those that do not exist any more.
func (s *ruled) over() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.now {
		if _, err := os.Stat(fmt.Sprint("/proc/", id.Proc.PID)); err != nil {
			n++
		}
	}
	return n
}

// The sampler does not keep whose samples it was to drop when they are over.
func TestTheSamplerForgetsWhoIsOver(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	lives := workloads.BuildLives(t)
	kernel := &ruled{now: map[event.LifeID]struct{}{}}
	open := func(s source.Settings) (_ receiver.Source, err error) {
		kernel.Source, err = receiver.OpenKernel(s)
		return kernel, err
	}
	r := receiver.New(metadatatest.NewSettings(componenttest.NewTelemetry()),
		filtering(include(filter.Rule{Executable: lives.Alpha})), open, consumertest.NewNop())
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	const n = 20
	ruled := func() bool {
		kernel.mu.Lock()
		defer kernel.mu.Unlock()
		return kernel.ever >= n/2
	}
	for range 10 {
		if lives.Run(t, "repeat %d ( fork ( exec %s burn 1 50 ) )", n, lives.Beta); ruled() {
			break
		}
	}
	require.True(t, ruled(), "the test has no power")
	require.Eventually(t, func() bool { return kernel.over() == 0 }, 30*time.Second, 100*time.Millisecond)
	require.NoError(t, r.Shutdown(t.Context()))
}
