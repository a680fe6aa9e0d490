// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// program is an executable at fixed addresses, with its symbols by address.
type program struct {
	path    string
	symbols []elf.Symbol
	table   *unwind.Table
}

func openProgram(t testing.TB, path string) *program {
	t.Helper()
	f, err := elf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	p := &program{path: path}
	all, err := f.Symbols()
	require.NoError(t, err)
	for _, s := range all {
		if s.Size > 0 || s.Name == "__restore_rt" {
			p.symbols = append(p.symbols, s)
		}
	}
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(t, err)
	p.table, err = unwind.Compile(file, info.Size())
	require.NoError(t, err)
	return p
}

func (p *program) name(address uint64) string {
	for _, s := range p.symbols {
		if s.Value <= address && address < s.Value+max(s.Size, 1) {
			return s.Name
		}
	}
	return "?"
}

// names of a stack, innermost first, without what the compiler appends to copies.
func (p *program) names(stack []uint64) (out []string) {
	for _, address := range stack {
		name, _, _ := strings.Cut(p.name(address), ".")
		out = append(out, name)
	}
	return out
}

// start runs the program until the test ends, and waits until it is where it burns.
func (p *program) start(t testing.TB, arguments ...string) (pid int) {
	t.Helper()
	cmd := exec.Command(p.path, arguments...)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	time.Sleep(50 * time.Millisecond)
	return cmd.Process.Pid
}

// publish tells the sampler of the memory of a process, as that of the image that
// change makes of it, and returns which process it is.
func (p *program) publish(t testing.TB, k *Kernel, pid int, change func(*unwind.Space)) event.ProcID {
	t.Helper()
	var pieces []unwind.Piece
	if p.table != nil {
		var err error
		pieces, err = k.Place(p.table)
		require.NoError(t, err)
	}
	tasks, err := k.Tasks()
	require.NoError(t, err)
	i := slices.IndexFunc(tasks, func(task event.Task) bool { return task.Proc.PID == uint32(pid) })
	require.GreaterOrEqual(t, i, 0)
	space := unwind.Space{Proc: tasks[i].Proc, Generation: tasks[i].Generation}
	for _, piece := range pieces {
		space.Regions = unwind.Regions(space.Regions, piece.From, piece.To, 0, pieces)
	}
	proc := space.Proc
	change(&space)
	require.NoError(t, k.Publish(space))
	return proc
}

// taken returns the samples that have been taken so far.
func taken(t testing.TB, k *Kernel) (all []event.Sample) {
	t.Helper()
	heads := make([]uint64, k.Buffers())
	require.NoError(t, k.Barrier())
	k.Heads(heads)
	for i := range heads {
		for more := true; more; {
			var batch event.Batch
			_, more = k.Drain(i, heads[i], &batch)
			all = append(all, batch.Samples...)
		}
	}
	return all
}

// walked runs the program and returns the stacks of its samples by how they end. Its
// memory is published as that of the image that change makes of it.
func (p *program) walked(t *testing.T, d time.Duration, change func(*unwind.Space), arguments ...string) map[event.UserStack][][]uint64 {
	t.Helper()
	k := open(t, Settings{SamplesPerSecond: 499, PollInterval: 100 * time.Millisecond})
	require.True(t, k.Walks())
	proc := p.publish(t, k, p.start(t, arguments...), change)
	from := k.Now()
	time.Sleep(d)
	stacks := map[event.UserStack][][]uint64{}
	for _, s := range taken(t, k) {
		if s.Proc == proc && s.KTime > from {
			stacks[s.UserStack] = append(stacks[s.UserStack], s.User)
		}
	}
	return stacks
}

// How long the sampler runs for a stack. The programs take all that the kernel lets
// real-time ones have of the CPUs, so that few samples are of others.
func BenchmarkWalk(b *testing.B) {
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	require.NoError(b, err)
	defer stats.Close()
	p := openProgram(b, workloads.BuildDeep(b, "-static", "-no-pie"))
	for _, depth := range []int{10, 60, 200, 500} {
		b.Run(strconv.Itoa(depth), func(b *testing.B) { p.benchmarkWalk(b, depth) })
	}
}

func (p *program) benchmarkWalk(b *testing.B, depth int) {
	k := open(b, Settings{SamplesPerSecond: 997, PollInterval: 2 * time.Second})
	own := map[event.ProcID]bool{}
	for range runtime.NumCPU() {
		pid := p.start(b, "plain", strconv.Itoa(depth))
		own[p.publish(b, k, pid, func(*unwind.Space) {})] = true
	}
	for proc := range own {
		// In case nobody is left to stop them: the kernel does after this CPU time.
		limit := unix.Rlimit{Cur: 10_000_000, Max: 10_000_000} // us
		require.NoError(b, unix.Prlimit(int(proc.PID), unix.RLIMIT_RTTIME, &limit, nil))
		require.NoError(b, unix.SchedSetAttr(int(proc.PID), &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0))
	}
	taken(b, k)
	before, err := k.objects.SampleCpu.Stats()
	require.NoError(b, err)
	for b.Loop() {
		time.Sleep(time.Second)
	}
	after, err := k.objects.SampleCpu.Stats()
	require.NoError(b, err)
	all, mine := 0, 0
	for _, s := range taken(b, k) {
		if all++; own[s.Proc] && s.UserStack == event.UserComplete {
			mine++
		}
	}
	us := float64((after.Runtime - before.Runtime).Nanoseconds()) / float64(after.RunCount-before.RunCount) / 1e3
	b.ReportMetric(us, "us/sample")
	b.ReportMetric(1e3*us/float64(depth+6), "ns/frame") // burn, end, main and three of the C library
	b.ReportMetric(100*float64(mine)/float64(all), "%own")
	b.ReportMetric(0, "ns/op")
}

// The whole chain of calls without frame pointers, up to where the program began.
func TestStacksAreWalkedByTables(t *testing.T) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	for _, kind := range []struct {
		name   string
		length int
		inner  []string
	}{
		{"plain", 10, nil},
		{"plain", 60, nil},
		{"plain", 200, nil},
		{"plain", 500, nil},
		{"qsort", 60, []string{"compare", "msort_with_tmp", "__qsort_r", "sort"}},
		{"signal", 60, []string{"handler", "__restore_rt", "__kill", "interrupt"}},
		{"altstack", 60, []string{"handler", "__restore_rt", "__kill", "interrupt", "interrupt_elsewhere"}},
		{"aligned", 60, []string{"align"}},
	} {
		t.Run(fmt.Sprint(kind.name, "_", kind.length), func(t *testing.T) {
			stacks := p.walked(t, 500*time.Millisecond, func(*unwind.Space) {}, kind.name, strconv.Itoa(kind.length))
			want := append(append([]string{"burn"}, kind.inner...), "end")
			for n := range kind.length {
				want = append(want, []string{"even", "odd"}[(kind.length-1-n)%2])
			}
			want = append(want, "main", "__libc_start_call_main", "__libc_start_main_impl", "_start")
			exact, other := 0, map[string]int{}
			for end, all := range stacks {
				for _, stack := range all {
					if got := p.names(stack); end == event.UserComplete && slices.Equal(got, want) {
						exact++
					} else {
						other[fmt.Sprint(end, " ", len(stack), " ", strings.Join(got, " "))]++
					}
				}
			}
			t.Log(exact, "exact", other)
			require.Greater(t, exact, 50)
			require.Empty(t, other)
		})
	}
}

// What was published of a process that had the PID before, or before an exec, is not
// used for the one that runs.
func TestTablesOfAnotherImageAreNotUsed(t *testing.T) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	for name, change := range map[string]func(*unwind.Space){
		"another process": func(s *unwind.Space) { s.Proc.Start-- },
		"before the exec": func(s *unwind.Space) { s.Generation-- },
	} {
		stacks := p.walked(t, time.Second, change, "plain", "10")
		require.Len(t, stacks, 1, name)
		require.Greater(t, len(stacks[event.UserTaken]), 30, name)
	}
}

// Stacks of 32-bit programs have words of four bytes: frame pointers lead through them,
// the walk by tables would not.
func TestStacksOf32BitProgramsFollowFramePointers(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("builds a program for 32-bit x86")
	}
	p := &program{path: workloads.BuildNarrow(t)}
	stacks := p.walked(t, time.Second, func(s *unwind.Space) {
		s.Regions = []unwind.Region{{Start: 0x1000, End: 1 << 32}}
	})
	require.Len(t, stacks, 1)
	require.Greater(t, len(stacks[event.UserTaken]), 30)
	for _, stack := range stacks[event.UserTaken] {
		require.GreaterOrEqual(t, len(stack), 3)
	}
}
