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

	"github.com/stretchr/testify/require"

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

func openProgram(t *testing.T, path string) *program {
	t.Helper()
	f, err := elf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	p := &program{path: path}
	all, err := f.Symbols()
	require.NoError(t, err)
	for _, s := range all {
		if s.Size > 0 {
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
		if s.Value <= address && address < s.Value+s.Size {
			return s.Name
		}
	}
	return "?"
}

// names of a stack, innermost first, without what the compiler appends to copies. A
// return address is behind its call; that of a signal handler is no call's, and what
// lies before it has no name.
func (p *program) names(stack []uint64) (out []string) {
	for i, address := range stack {
		if i > 0 {
			address--
		}
		name, _, _ := strings.Cut(p.name(address), ".")
		out = append(out, name)
	}
	return out
}

// start runs the program until the test ends, and has its stacks walked by its tables.
// Its memory is published as that of the image that change makes of it.
func (p *program) start(t *testing.T, k *Kernel, change func(*unwind.Space), arguments ...string) event.ProcID {
	t.Helper()
	cmd := exec.Command(p.path, arguments...)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	time.Sleep(50 * time.Millisecond) // it is where it burns
	var pieces []unwind.Piece
	if p.table != nil {
		var err error
		pieces, err = k.Place(p.table)
		require.NoError(t, err)
	}
	tasks, err := k.Tasks()
	require.NoError(t, err)
	i := slices.IndexFunc(tasks, func(task event.Task) bool { return task.Proc.PID == uint32(cmd.Process.Pid) })
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

// walked runs the program and returns the stacks of its samples by how they end, see
// start.
func (p *program) walked(t *testing.T, inParts bool, d time.Duration, change func(*unwind.Space), arguments ...string) map[event.UserStack][][]uint64 {
	t.Helper()
	k := open(t, Settings{SamplesPerSecond: 499, PollInterval: 100 * time.Millisecond, walkInParts: inParts})
	proc := p.start(t, k, change, arguments...)
	from := k.Now()
	time.Sleep(d)
	var batch event.Batch
	heads := make([]uint64, k.Buffers())
	require.NoError(t, k.Barrier())
	k.Heads(heads)
	for i := range heads {
		for more := true; more; {
			_, more = k.Drain(i, heads[i], &batch)
			batch.Lifecycle, batch.Mapped = nil, nil
			if more {
				require.Less(t, len(batch.Samples), 100_000)
				batch.Samples = append([]event.Sample(nil), batch.Samples...)
			}
		}
	}
	stacks := map[event.UserStack][][]uint64{}
	for _, s := range batch.Samples {
		if s.Proc == proc && s.KTime > from {
			stacks[s.UserStack] = append(stacks[s.UserStack], s.User)
		}
	}
	return stacks
}

// samplers says of those that this kernel can load whether they walk in parts.
func samplers() []bool {
	if hasLoop() {
		return []bool{false, true}
	}
	return []bool{true}
}

// The whole chain of calls without frame pointers, up to where the program began.
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
	}{
		{"plain", 10, nil},
		{"plain", 60, nil},
		{"plain", 200, nil},
		{"plain", 500, nil},
		{"qsort", 60, []string{"compare", "msort_with_tmp", "__qsort_r", "sort"}},
		{"signal", 60, []string{"handler", "?", "__kill", "interrupt"}},
		{"altstack", 60, []string{"handler", "?", "__kill", "interrupt", "interrupt_elsewhere"}},
		{"aligned", 60, []string{"align"}},
	} {
		if testing.Short() && kind.length != 500 && kind.name != "altstack" {
			continue
		}
		t.Run(fmt.Sprint(kind.name, "_", kind.length), func(t *testing.T) {
			p.requireExact(t, inParts, append(kind.inner, "end"), kind.name, kind.length)
		})
	}
}

// requireExact runs the program and requires every frame of every sample to be right.
func (p *program) requireExact(t *testing.T, inParts bool, inner []string, kind string, length int) {
	t.Helper()
	stacks := p.walked(t, inParts, 500*time.Millisecond, func(*unwind.Space) {}, kind, strconv.Itoa(length))
	want := append([]string{"burn"}, inner...)
	for n := range length {
		want = append(want, []string{"even", "odd"}[(length-1-n)%2])
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
		p.requireExact(t, inParts, []string{"end"}, "plain", 200)
		p.requireExact(t, inParts, []string{"handler", "?", "__kill", "interrupt", "end"}, "signal", 60)
	}
}

// A stack that is deeper than what is taken is cut off, and says so.
func TestStacksAreWalkedToTheirBound(t *testing.T) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	for _, inParts := range samplers() {
		stacks := p.walked(t, inParts, 300*time.Millisecond, func(*unwind.Space) {}, "plain", "600")
		require.Len(t, stacks, 1)
		require.Greater(t, len(stacks[event.UserTruncated]), 30)
		for _, stack := range stacks[event.UserTruncated] {
			require.Len(t, stack, 512)
		}
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
		stacks := p.walked(t, false, 300*time.Millisecond, change, "plain", "10")
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
	stacks := p.walked(t, false, 300*time.Millisecond, func(s *unwind.Space) {
		s.Regions = []unwind.Region{{Start: 0x1000, End: 1 << 32}}
	})
	require.Len(t, stacks, 1)
	require.Greater(t, len(stacks[event.UserTaken]), 30)
	for _, stack := range stacks[event.UserTaken] {
		require.GreaterOrEqual(t, len(stack), 3)
	}
}
