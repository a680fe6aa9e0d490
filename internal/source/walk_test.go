// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
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
	"github.com/cilium/ebpf/features"
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
	// split: its memory is published in as many regions as there may be.
	split bool
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
	for range 500 { // it burns from the first moment on
		if ticks(t, cmd.Process.Pid) >= 5 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return cmd.Process.Pid
}

// ticks is the CPU time of a process, in hundredths of a second (proc_pid_stat(5)).
func ticks(t testing.TB, pid int) (n int) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')'):]))
	for _, field := range fields[12:14] { // utime and stime, the 14th and 15th of all
		of, err := strconv.Atoi(field)
		require.NoError(t, err)
		n += of
	}
	return n
}

// publish tells the sampler of the memory of a process, as that of the image that
// change makes of it, and returns which process it is and what its memory really is.
func (p *program) publish(t testing.TB, k *Kernel, pid int, change func(*unwind.Space)) (event.ProcID, unwind.Space) {
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
	if p.split {
		space.Regions = splitRegions(space.Regions)
	}
	said := space
	said.Regions = slices.Clone(space.Regions)
	change(&said)
	require.NoError(t, k.Publish(said))
	return space.Proc, space
}

// without leaves the code of a function out.
func (p *program) without(function string) func(*unwind.Space) {
	return func(s *unwind.Space) {
		var kept []unwind.Region
		for _, r := range s.Regions {
			before, behind := r, r
			for _, f := range p.symbols {
				if name, _, _ := strings.Cut(f.Name, "."); name == function && f.Value < r.End && r.Start < f.Value+f.Size {
					before.End, behind.Start = f.Value, f.Value+f.Size
				}
			}
			if before == r {
				kept = append(kept, r)
				continue
			}
			for _, part := range []unwind.Region{before, behind} {
				if part.Start < part.End {
					kept = append(kept, part)
				}
			}
		}
		s.Regions = kept
	}
}

// walked runs the program and returns the stacks of its samples by how they end, see
// start, and how many of them were copied.
func (p *program) walked(t *testing.T, inParts bool, change func(*unwind.Space), arguments ...string) (_ map[event.UserStack][][]uint64, copied int) {
	t.Helper()
	k := open(t, Settings{SamplesPerSecond: 199, PollInterval: 100 * time.Millisecond, walkInParts: inParts})
	proc, space := p.publish(t, k, p.start(t, arguments...), change)
	stacks, n := map[event.UserStack][][]uint64{}, 0
	from := k.Now()
	for deadline := time.Now().Add(time.Minute); n < 100 && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
		for _, s := range drained(t, k).Samples {
			if s.Proc != proc || s.KTime <= from {
				continue
			}
			if s.UserStack == event.UserCopied {
				copied++
				stack, ok := unwind.CopyOf(s.User)
				require.True(t, ok)
				s.User, s.UserStack = stack.Walk(unwind.Native(), ruleIn(k, space.Regions), nil)
			}
			stacks[s.UserStack] = append(stacks[s.UserStack], s.User)
			n++
		}
	}
	return stacks, copied
}

// ruleIn finds the rules of regions.
func ruleIn(k *Kernel, regions []unwind.Region) unwind.Find {
	return func(address uint64) (unwind.Rule, unwind.Code) {
		for _, r := range regions {
			if r.Start <= address && address < r.End {
				return k.Rule(unwind.Piece{Chunk: r.Chunk, First: r.First, Rows: r.Rows}, uint32(address-r.Base)), unwind.CodeOfTable
			}
		}
		return unwind.NoInfo, unwind.CodeUnknown
	}
}

// samplers says of those that this kernel can load whether they walk in parts. When time
// is short it leaves out the one that TestStacksAreWalkedByTables is of.
func samplers() []bool {
	if hasLoop() && !testing.Short() {
		return []bool{false, true}
	}
	return []bool{true}
}

// trampoline is where signal handlers return to: in the C library, and in the vDSO on
// arm64.
func trampoline() string {
	if runtime.GOARCH == "arm64" {
		return "?"
	}
	return "__restore_rt"
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

// occupy has the program take all CPUs.
func (p *program) occupy(b *testing.B, k *Kernel, depth int) (own map[event.ProcID]bool) {
	own = map[event.ProcID]bool{}
	for range runtime.NumCPU() {
		pid := p.start(b, "plain", strconv.Itoa(depth))
		proc, _ := p.publish(b, k, pid, func(*unwind.Space) {})
		own[proc] = true
	}
	for proc := range own {
		// In case nobody is left to stop them: the kernel does after this CPU time.
		limit := unix.Rlimit{Cur: 10_000_000, Max: 10_000_000} // us
		require.NoError(b, unix.Prlimit(int(proc.PID), unix.RLIMIT_RTTIME, &limit, nil))
		require.NoError(b, unix.SchedSetAttr(int(proc.PID), &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0))
	}
	drained(b, k)
	return own
}

func (p *program) benchmarkWalk(b *testing.B, depth int) {
	k := open(b, Settings{SamplesPerSecond: 997, PollInterval: 2 * time.Second})
	own := p.occupy(b, k, depth)
	before, err := k.objects.SampleCpu.Stats()
	require.NoError(b, err)
	for b.Loop() {
		time.Sleep(time.Second)
	}
	after, err := k.objects.SampleCpu.Stats()
	require.NoError(b, err)
	all, mine := 0, 0
	for _, s := range drained(b, k).Samples {
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

// The whole chain of calls without frame pointers, up to where the program began: as the
// sampler walks it, and from copies, as far as they reach. Their number is limited.

func TestStacksAreWalkedByTables(t *testing.T) {
	if !hasLoop() {
		t.Skip("this kernel has no bpf_loop: TestStacksAreWalkedInParts is of what it has")
	}
	testWalks(t, false)
}

// The same by the sampler of kernels without bpf_loop, which every kernel can load.
func TestStacksAreWalkedInParts(t *testing.T) { testWalks(t, true) }

func testWalks(t *testing.T, inParts bool) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	for _, kind := range []struct {
		name   string
		length int
		inner  []string
		copied bool
	}{
		{"plain", 10, nil, false},
		{"plain", 60, nil, false},
		{"plain", 200, nil, false},
		{"plain", 500, nil, false},
		{"qsort", 60, []string{"compare", "msort_with_tmp", "__qsort_r", "sort"}, false},
		{"signal", 60, []string{"handler", trampoline(), "__kill", "interrupt"}, false},
		{"altstack", 60, []string{"handler", trampoline(), "__kill", "interrupt", "interrupt_elsewhere"}, false},
		{"aligned", 60, []string{"align"}, false},
		{"plain", 10, nil, true},
		{"plain", 200, nil, true},
		{"qsort", 40, []string{"compare", "msort_with_tmp", "__qsort_r", "sort"}, true},
		{"signal", 40, []string{"handler", trampoline(), "__kill", "interrupt"}, true},
		{"altstack", 10, []string{"handler", trampoline(), "__kill", "interrupt", "interrupt_elsewhere"}, true},
		{"aligned", 40, []string{"align"}, true},
	} {
		if testing.Short() && kind.length != 500 && kind.name != "altstack" || kind.copied && inParts == hasLoop() {
			continue // both samplers copy alike
		}
		t.Run(fmt.Sprint(kind.name, "_", kind.length, "_copied=", kind.copied), func(t *testing.T) {
			p.requireExact(t, inParts, kind.copied, append(kind.inner, "end"), kind.name, kind.length)
		})
	}
}

// requireExact runs the program and requires every frame of every sample to be right.
func (p *program) requireExact(t *testing.T, inParts, copies bool, inner []string, kind string, length int) {
	t.Helper()
	change := func(*unwind.Space) {}
	if copies {
		change = func(s *unwind.Space) { s.Proc.Start-- }
	}
	p.requireChains(t, inParts, copies, change, inner, kind, length)
}

// requireWhole is the same for what has to be copied for it.
func (p *program) requireWhole(t *testing.T, inParts bool, change func(*unwind.Space), inner []string, kind string, length int) {
	t.Helper()
	p.requireChains(t, inParts, true, change, inner, kind, length)
}

func (p *program) requireChains(t *testing.T, inParts, copies bool, change func(*unwind.Space), inner []string, kind string, length int) {
	t.Helper()
	stacks, copied := p.walked(t, inParts, change, kind, strconv.Itoa(length))
	require.Equal(t, copies, copied > 0)
	want := append([]string{"burn"}, inner...)
	for n := range length {
		want = append(want, []string{"even", "odd"}[(length-1-n)%2])
	}
	want = append(want, "main", "__libc_start_call_main", "__libc_start_main_impl", "_start")
	least := 40 // frames fit into a copy, unless there is another stack
	if kind == "altstack" {
		least = 4
	}
	if copies {
		delete(stacks, event.UserTaken) // too many for copies
		delete(stacks, event.UserUnmapped)
	}
	exact, other := 0, map[string]int{}
	for end, all := range stacks {
		for _, stack := range all {
			got := p.names(stack)
			switch {
			case end == event.UserComplete && slices.Equal(got, want):
				exact++
			case copies && end == event.UserTruncated && len(got) >= least && slices.Equal(got, want[:len(got)]):
				exact++
			default:
				other[fmt.Sprint(end, " ", len(stack), " ", strings.Join(got, " "))]++
			}
		}
	}
	t.Log(exact, "exact", other)
	require.Greater(t, exact, 20)
	require.Empty(t, other)
}

// splitRegions says the same in as many regions as a list has room for.
func splitRegions(regions []unwind.Region) (out []unwind.Region) {
	size := uint64(0)
	for _, r := range regions {
		size += r.End - r.Start
	}
	step := size/uint64(maxRegions-1-len(regions)) + 1
	for _, r := range regions {
		for at := r.Start; at < r.End; at += step {
			part := r
			part.Start, part.End = at, min(r.End, at+step)
			out = append(out, part)
		}
	}
	return out
}

// everyByte says the same in a row for each byte.
func everyByte(t *unwind.Table) *unwind.Table {
	fine := *t
	fine.Rows = nil
	for i, row := range t.Rows[:len(t.Rows)-1] {
		for ; row.Offset < t.Rows[i+1].Offset; row.Offset++ {
			fine.Rows = append(fine.Rows, row)
		}
	}
	fine.Rows = append(fine.Rows, t.Rows[len(t.Rows)-1])
	return &fine
}

// Searches have the steps that full chunks of rows and the longest lists take.
func TestStacksAreWalkedByTheLargestTables(t *testing.T) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	p.table, p.split = everyByte(p.table), true
	require.Greater(t, len(p.table.Rows), 3*chunkRows, "two chunks are full")
	for _, inParts := range samplers() {
		p.requireExact(t, inParts, false, []string{"compare", "msort_with_tmp", "__qsort_r", "sort", "end"}, "qsort", 60)
	}
}

// Return addresses of programs that sign them are sent without their signatures.
func TestStacksAreWalkedThroughSignatures(t *testing.T) {
	if runtime.GOARCH != "arm64" {
		t.Skip("return addresses are signed on arm64 only")
	}
	cpu, err := os.ReadFile("/proc/cpuinfo")
	require.NoError(t, err)
	require.Contains(t, string(cpu), " paca ", "the CPU signs nothing")
	p := openProgram(t, workloads.BuildSigned(t, "-static", "-no-pie"))
	for _, inParts := range samplers() {
		p.requireExact(t, inParts, false, []string{"end"}, "plain", 200)
		p.requireExact(t, inParts, true, []string{"end"}, "plain", 40)
		p.requireExact(t, inParts, false, []string{"handler", trampoline(), "__kill", "interrupt", "end"}, "signal", 60)
	}
}

// Code of which nothing tells, and that keeps no frame pointer, is left by its instructions
// where it returns at once, whatever looks like a frame pointer.
func TestStacksAreWalkedThroughStubs(t *testing.T) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	for _, inParts := range samplers() {
		p.requireChains(t, inParts, false, withStubs,
			[]string{"?", "call_third", "?", "call_second", "?", "call_first", "end"}, "stubs", 60)
	}
}

// The same where it is the code itself that calls the kernel.
func TestStacksAreWalkedFromStubs(t *testing.T) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	want := []string{"?", "call_last", "end", "odd", "even", "main", "__libc_start_call_main", "__libc_start_main_impl", "_start"}
	for _, inParts := range samplers() {
		stacks, copied := p.walked(t, inParts, withStubs, "stub", "2")
		require.Zero(t, copied)
		whole, other := 0, map[string]int{}
		for end, all := range stacks {
			for _, stack := range all {
				if got := p.names(stack); end == event.UserComplete && slices.Equal(got, want) {
					whole++
					require.True(t, p.inCall(t, stack[1]), "%#x is behind the call", stack[1])
				} else {
					other[fmt.Sprint(end, " ", strings.Join(got, " "))]++
				}
			}
		}
		t.Log(whole, "whole", other)
		require.Greater(t, whole, 50)
		require.LessOrEqual(t, len(other), 2, "before and behind what it does in the kernel")
	}
}

// inCall reports whether an address is that of the last byte of a call through a register.
func (p *program) inCall(t *testing.T, address uint64) bool {
	t.Helper()
	f, err := elf.Open(p.path)
	require.NoError(t, err)
	defer f.Close()
	text := f.Section(".text")
	var code [4]byte
	_, err = text.ReadAt(code[:], int64(address-text.Addr)-3)
	require.NoError(t, err)
	if runtime.GOARCH == "arm64" { // blr, C6.2.34 of the architecture's manual
		return binary.LittleEndian.Uint32(code[:])&0xfffffc1f == 0xd63f0000
	}
	return code[2] == 0xff && code[3]&0xf8 == 0xd0
}

// withStubs adds the code that the program makes, of which there is no table.
func withStubs(s *unwind.Space) {
	s.Regions = append(s.Regions, unwind.Region{Start: 1 << 40, End: 1<<40 + 1<<12})
}

// A stack that is deeper than what is taken is cut off, and says so.
func TestStacksAreWalkedToTheirBound(t *testing.T) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	for _, inParts := range samplers() {
		stacks, _ := p.walked(t, inParts, func(*unwind.Space) {}, "plain", "600")
		require.Len(t, stacks, 1)
		require.Greater(t, len(stacks[event.UserTruncated]), 30)
		for _, stack := range stacks[event.UserTruncated] {
			require.Len(t, stack, 512)
		}
	}
}

// What was published of a process that had the PID before, or before an exec, is not
// used for the one that runs: its stacks are copied.
func TestTablesOfAnotherImageAreNotUsed(t *testing.T) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	for name, change := range map[string]func(*unwind.Space){
		"another process": func(s *unwind.Space) { s.Proc.Start-- },
		"before the exec": func(s *unwind.Space) { s.Generation-- },
	} {
		_, copied := p.walked(t, !hasLoop(), change, "plain", "10")
		require.Greater(t, copied, 30, name)
	}
}

// Where the sampler comes to code that it does not know of the stack is copied, unless what it
// walked by then is more than a copy holds.
func TestStacksThroughUnknownCodeAreCopied(t *testing.T) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	for _, inParts := range samplers() {
		p.requireWhole(t, inParts, p.without("odd"), []string{"end"}, "plain", 10)
		p.requireWhole(t, inParts, p.without("main"), []string{"end"}, "plain", 10)
		stacks, copied := p.walked(t, inParts, p.without("main"), "plain", "200")
		require.Zero(t, copied)
		require.Greater(t, len(stacks[event.UserUnmapped]), 90)
		for _, stack := range stacks[event.UserUnmapped] {
			names := p.names(stack)
			require.Len(t, names, 203)
			require.Equal(t, "main", names[202])
		}
	}
}

// A frame that is not above the one before is reached once behind a signal handler: a stack
// that leads round in circles is left.
func TestStacksThatGoRoundAreLeft(t *testing.T) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	round := unwind.Rule{CFA: unwind.CFASP, RA: unwind.AtSP, FP: unwind.Same, Signal: true}
	last := p.table.Rows[len(p.table.Rows)-1]
	p.table = &unwind.Table{
		Arch: p.table.Arch, Base: p.table.Base, Rules: []unwind.Rule{unwind.NoInfo, round},
		Rows: []unwind.Row{{Offset: 0, Rule: 1}, {Offset: last.Offset}},
	}
	for _, inParts := range samplers() {
		stacks, copied := p.walked(t, inParts, func(*unwind.Space) {}, "plain", "10")
		require.Zero(t, copied, "a copy would lead no farther")
		require.Len(t, stacks, 1)
		require.Greater(t, len(stacks[event.UserBadFrame]), 30)
		for _, stack := range stacks[event.UserBadFrame] {
			require.Len(t, stack, 2)
		}
	}
}

// No CPU copies more in an eighth of a second than it may, however many samples there are.
func TestCopiesAreBounded(t *testing.T) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	t.Run("without tables", func(t *testing.T) {
		p.requireBounded(t, func(s *unwind.Space) { s.Proc.Start-- }, 4, event.UserTaken)
	})
	t.Run("through unknown code", func(t *testing.T) { p.requireBounded(t, p.without("odd"), 3, event.UserUnmapped) })
}

// requireBounded requires copies to take up to some quarters of what there may be; the other
// stacks are told as otherwise.
func (p *program) requireBounded(t *testing.T, change func(*unwind.Space), quarters int, otherwise event.UserStack) {
	t.Helper()
	k := open(t, Settings{SamplesPerSecond: 997, PollInterval: 100 * time.Millisecond, walkInParts: !hasLoop()})
	own := map[event.ProcID]bool{}
	for range runtime.NumCPU() {
		proc, _ := p.publish(t, k, p.start(t, "plain", "60"), change)
		own[proc] = true
	}
	type slice struct {
		cpu uint32
		at  event.KTime
	}
	spent, others := map[slice]int{}, 0
	published := k.Now() >> 27
	for range 20 {
		time.Sleep(100 * time.Millisecond)
		for _, s := range drained(t, k).Samples {
			switch at := s.KTime >> 27; {
			case !own[s.Proc] || at <= published:
				// It has no tables, or had none yet.
			case s.UserStack == event.UserCopied:
				spent[slice{s.CPU, at}] += 8 * len(s.User)
			case s.UserStack == otherwise:
				others++
			}
		}
	}
	most := 0
	for _, n := range spent {
		most = max(most, n)
	}
	allowed := k.settings.CopiesPerSecond() / 8 / 4 * quarters
	require.Greater(t, most, allowed/2, "the test has no power")
	require.LessOrEqual(t, most, allowed+maxCopy)
	require.Positive(t, others)
}

// The sampler that walks at once is used wherever it can be.
func TestTheLoopIsFound(t *testing.T) {
	version, err := features.LinuxVersionCode()
	require.NoError(t, err)
	require.True(t, hasLoop() || version < 5<<16|17<<8, "Linux %d.%d", version>>16, version>>8&0xff)
}

// Stacks of 32-bit programs have words of four bytes: frame pointers lead through them,
// the walk by tables would not.
func TestStacksOf32BitProgramsFollowFramePointers(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("builds a program for 32-bit x86")
	}
	p := &program{path: workloads.BuildNarrow(t)}
	probe := exec.Command(p.path)
	err := probe.Start()
	if errors.Is(err, unix.ENOEXEC) {
		if os.Getenv("VM_GUEST") != "" {
			t.Fatal("a kernel of test/vm has to run them")
		}
		t.Skip("this kernel runs no 32-bit programs; test/vm has kernels that do")
	}
	require.NoError(t, err)
	require.NoError(t, probe.Process.Kill())
	_ = probe.Wait()
	stacks, copied := p.walked(t, !hasLoop(), func(s *unwind.Space) {
		s.Regions = []unwind.Region{{Start: 0x1000, End: 1 << 32}}
	})
	require.Zero(t, copied)
	require.Len(t, stacks, 1)
	require.Greater(t, len(stacks[event.UserTaken]), 30)
	for _, stack := range stacks[event.UserTaken] {
		require.GreaterOrEqual(t, len(stack), 3)
	}
}
