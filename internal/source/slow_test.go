// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"math"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/preflight"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/watermark"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/slowbpf"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// slow is a set of programs that publish late, one buffer per CPU.
type slow struct {
	slowbpf.SlowObjects
	buffers []*buffer
	running []slowbpf.SlowInFlight // memory of the kernel, by CPU
}

// openSlow attaches the programs and keeps every CPU in them until the test ends.
func openSlow(t *testing.T) *slow {
	t.Helper()
	roottest.Need(t)
	_, cpus, err := onlineCPUs()
	require.NoError(t, err)
	possible, err := ebpf.PossibleCPU()
	require.NoError(t, err)
	spec, err := slowbpf.LoadSlow()
	require.NoError(t, err)
	const ringSize = 1 << 20
	spec.Maps[slowbpf.SlowMapRings].MaxEntries = uint32(possible)
	spec.Maps[slowbpf.SlowMapRings].InnerMap.MaxEntries = ringSize
	spec.Maps[slowbpf.SlowMapRunning].MaxEntries = uint32(possible)
	// The last CPU is kept in programs. The rounds have another: where programs
	// are not preempted they would get no turn.
	require.GreaterOrEqual(t, len(cpus), 2, "this test needs two CPUs")
	last, caller := cpus[len(cpus)-1], workloads.BuildCaller(t)
	onCPUForever(t, last, caller, "probed")
	require.NoError(t, spec.Variables[slowbpf.SlowVarTarget].Set(onCPUForever(t, last, caller, "getppid")))
	require.NoError(t, spec.Variables[slowbpf.SlowVarTrigger].Set(uint64(unix.SYS_GETPPID)))
	s := &slow{}
	require.NoError(t, spec.LoadAndAssign(&s.SlowObjects, nil))
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for _, cpu := range cpus {
		b, err := openBuffer(cpu, ringSize)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, b.close()) })
		require.NoError(t, s.Rings.Put(b.cpu, b.ring))
		s.buffers = append(s.buffers, b)
	}
	s.mapRunning(t, possible)
	s.attach(t, cpus, caller)
	return s
}

// mapRunning makes what runs visible without system calls.
func (s *slow) mapRunning(t *testing.T, cpus int) {
	t.Helper()
	size := cpus * int(unsafe.Sizeof(slowbpf.SlowInFlight{}))
	page := os.Getpagesize()
	memory, err := unix.Mmap(s.Running.FD(), 0, (size+page-1)/page*page, unix.PROT_READ, unix.MAP_SHARED)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(memory)) })
	s.running = unsafe.Slice((*slowbpf.SlowInFlight)(unsafe.Pointer(&memory[0])), cpus)
}

func (s *slow) attach(t *testing.T, cpus []int, probed string) {
	t.Helper()
	keep := func(l link.Link, err error) {
		t.Helper()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, l.Close()) })
	}
	mountTracefs(t)
	keep(link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sys_enter", Program: s.SlowRawTracepoint}))
	keep(link.Tracepoint("raw_syscalls", "sys_exit", s.SlowTracepoint, nil))
	executable, err := link.OpenExecutable(probed)
	require.NoError(t, err)
	keep(executable.Uprobe("probed", s.SlowUprobe, nil))
	for _, cpu := range cpus {
		clock, err := openClock(cpu, 10*time.Millisecond, s.SlowPerfEvent)
		require.NoError(t, err)
		t.Cleanup(func() {
			_, err := clock.stop()
			require.NoError(t, err)
		})
	}
}

// mountTracefs mounts what attaches to tracepoints by number need, until the test
// ends: distributions do that themselves.
func mountTracefs(t *testing.T) {
	t.Helper()
	const dir = "/sys/kernel/tracing"
	if _, err := os.Stat(dir + "/events"); err == nil {
		return
	}
	require.NoError(t, unix.Mount("tracefs", dir, "tracefs", 0, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
}

// onCPUForever runs a command there until the test ends.
func onCPUForever(t *testing.T, cpu int, command ...string) (pid uint32) {
	t.Helper()
	defer pin(t, cpu)()
	c := exec.Command(command[0], command[1:]...)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		require.NoError(t, c.Process.Kill())
		_ = c.Wait()
	})
	return uint32(c.Process.Pid)
}

// barrier waits as Kernel.Barrier does.
func (s *slow) barrier() error { return s.Rings.Put(s.buffers[0].cpu, s.buffers[0].ring) }

// outcome is what a run of rounds showed, by kind of program.
type outcome struct {
	records, late [slowbpf.SlowKindKINDS]int
	// unwaited are programs that were found running after a barrier although they
	// had begun before it.
	unwaited    int
	completions int
	longest     time.Duration
}

func (o *outcome) add(more outcome) {
	for kind := range more.records {
		o.records[kind] += more.records[kind]
		o.late[kind] += more.late[kind]
	}
	o.unwaited += more.unwaited
	o.completions += more.completions
	o.longest = max(o.longest, more.longest)
}

func (o *outcome) total() (late int) {
	for _, n := range o.late {
		late += n
	}
	return late
}

// rounds draws watermarks for a while and counts the records that come late.
func (s *slow) rounds(t *testing.T, d, interval time.Duration, barrier func() error) (o outcome) {
	t.Helper()
	defer pin(t, int(s.buffers[0].cpu))()
	mark := watermark.New(len(s.buffers), watermark.Guard)
	heads := make([]uint64, len(s.buffers))
	var until event.KTime
	drain := func() {
		for i, b := range s.buffers {
			if !mark.Open() {
				heads[i] = b.reader.written()
			}
			b.reader.drain(heads[i], func(record []byte) bool {
				kind := host.Uint32(record[8:])
				o.records[kind]++
				if event.KTime(host.Uint64(record)) <= until {
					o.late[kind]++
				}
				return true
			})
			mark.Drained(i, b.reader.position())
		}
	}
	for deadline := time.Now().Add(d); time.Now().Before(deadline); time.Sleep(interval) {
		drain()
		t0 := preflight.Now()
		began := time.Now()
		require.NoError(t, barrier())
		o.longest = max(o.longest, time.Since(began))
		o.unwaited += s.runningSince(t0 - watermark.Guard)
		for i, b := range s.buffers {
			heads[i] = b.reader.written()
		}
		for mark.Barrier(t0, heads); mark.Open(); {
			drain()
			next, ok := mark.Complete()
			if !ok {
				time.Sleep(time.Millisecond)
				continue
			}
			require.Greater(t, next, until)
			until = next
			o.completions++
		}
	}
	drain()
	return o
}

// pin keeps this goroutine on CPUs until the function it returns is called.
func pin(t *testing.T, cpus ...int) (end func()) {
	t.Helper()
	runtime.LockOSThread()
	var before, only unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &before))
	for _, cpu := range cpus {
		only.Set(cpu)
	}
	require.NoError(t, unix.SchedSetaffinity(0, &only))
	return func() {
		require.NoError(t, unix.SchedSetaffinity(0, &before))
		runtime.UnlockOSThread()
	}
}

// runningSince counts the programs in flight that stamped before a moment.
func (s *slow) runningSince(k event.KTime) (n int) {
	const entering = 1 // it has a place and no stamp yet
	for cpu := range s.running {
		for i := range s.running[cpu].Places {
			if stamp := atomic.LoadUint64(&s.running[cpu].Places[i]); stamp > entering && event.KTime(stamp) < k {
				n++
			}
		}
	}
	return n
}

// duration is how long a load goes on.
func duration() time.Duration {
	if testing.Short() {
		return longRun / 4
	}
	return longRun
}

const longRun = 4 * time.Second

func (o *outcome) requireNone(t *testing.T) {
	t.Helper()
	t.Logf("with the barrier: %+v", *o)
	require.Zero(t, o.total())
	require.Zero(t, o.unwaited, "the barrier did not wait")
	for kind, n := range o.records {
		require.Positive(t, n, "kind %d", kind)
	}
}

func TestSlowProducersAreNeverLate(t *testing.T) {
	s := openSlow(t)
	o := s.rounds(t, duration(), time.Millisecond, s.barrier)
	o.requireNone(t)
	// An emulated machine takes its time to bring as many.
	enough := int(100 * duration() / longRun)
	var without outcome
	for range 10 {
		without.add(s.rounds(t, duration(), time.Millisecond, func() error { return nil }))
		if without.total() >= enough {
			break
		}
	}
	t.Logf("without a barrier: %+v", without)
	require.GreaterOrEqual(t, without.total(), enough, "the test has no power")
	for kind, n := range without.late {
		require.True(t, n > 0 || testing.Short(), "kind %d", kind)
	}
	require.Positive(t, without.unwaited, "the oracle has no power")
}

func TestSlewedClocksAreCoveredByTheGuard(t *testing.T) {
	s := openSlow(t)
	slewClock(t)
	o := s.rounds(t, duration(), time.Millisecond, s.barrier)
	o.requireNone(t)
}

// The receiver's own programs are interrupted by slow ones and interrupt them.
func TestNoRecordOfTheSourceIsLateUnderSlowPrograms(t *testing.T) {
	testNoRecordIsLate(t, !hasLoop())
}

// The same of samples that more than thirty programs take one after another.
func TestNoRecordOfASamplerInPartsIsLate(t *testing.T) { testNoRecordIsLate(t, true) }

func testNoRecordIsLate(t *testing.T, inParts bool) {
	openSlow(t)
	k := open(t, Settings{SamplesPerSecond: 499, PollInterval: 10 * time.Millisecond, walkInParts: inParts})
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	deep, _ := p.publish(t, k, p.start(t, "plain", "500"), func(*unwind.Space) {})
	forks := make(chan struct{})
	lives := workloads.BuildLives(t)
	go func() {
		defer close(forks)
		lives.Run(t, "repeat %d ( fork ( exec %s burn 1 1 ) )", int(duration()/(20*time.Millisecond)), lives.Beta)
	}()
	mark := watermark.New(k.Buffers(), watermark.Guard)
	heads := make([]uint64, k.Buffers())
	var until event.KTime
	samples, deepest, lifecycle, late, completions := 0, 0, 0, 0, 0
	drain := func() {
		for i := range heads {
			position := uint64(0)
			for more := true; more; {
				var b event.Batch
				position, more = k.Drain(i, heads[i], &b)
				for _, s := range b.Samples {
					samples++
					late += lateBy(s.KTime, until)
					if s.Proc == deep && len(s.User) > 500 {
						deepest++
					}
				}
				for _, l := range b.Lifecycle {
					lifecycle++
					late += lateBy(l.KTime, until)
				}
			}
			mark.Drained(i, position)
		}
	}
	needed := math.MaxInt // completions, the last of which covers the last fork
	for completions < needed {
		select {
		case <-forks:
			needed = min(needed, max(20, completions+1))
		default:
		}
		t0 := k.Now()
		require.NoError(t, k.Barrier())
		k.Heads(heads)
		for mark.Barrier(t0, heads); mark.Open(); time.Sleep(time.Millisecond) {
			drain()
			if next, ok := mark.Complete(); ok {
				require.Greater(t, next, until)
				until = next
				completions++
			}
		}
	}
	t.Logf("%d samples, %d of them deep, %d lifecycle records, %d completions", samples, deepest, lifecycle, completions)
	require.Zero(t, late)
	require.Greater(t, lifecycle, 100)
	require.Greater(t, samples, 100)
	require.Greater(t, deepest, 20, "the test has no power")
}

func lateBy(k, until event.KTime) int {
	if k <= until {
		return 1
	}
	return 0
}
