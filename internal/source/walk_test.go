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

// walked runs the program and returns the stacks of its samples by how they end, and how
// many of them were copied. Its memory is published as that of the image that change
// makes of it.
func (p *program) walked(t *testing.T, change func(*unwind.Space), arguments ...string) (_ map[event.UserStack][][]uint64, copied int) {
	t.Helper()
	k := open(t, Settings{SamplesPerSecond: 199, PollInterval: 100 * time.Millisecond})
	require.True(t, k.Walks())
	cmd := exec.Command(p.path, arguments...)
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
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
	return func(address uint64) (unwind.Rule, bool) {
		for _, r := range regions {
			if r.Start <= address && address < r.End {
				return k.Rule(unwind.Piece{Chunk: r.Chunk, First: r.First, Rows: r.Rows}, uint32(address-r.Base)), true
			}
		}
		return unwind.NoInfo, false
	}
}

// The whole chain of calls without frame pointers, up to where the program began: as the
// sampler walks it, and from copies, as far as they reach. Their number is limited.
func TestStacksAreWalkedByTables(t *testing.T) {
	p := openProgram(t, workloads.BuildDeep(t, "-static", "-no-pie"))
	asOther := func(s *unwind.Space) { s.Proc.Start-- }
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
		{"signal", 60, []string{"handler", "?", "__kill", "interrupt"}, false},
		{"altstack", 60, []string{"handler", "?", "__kill", "interrupt", "interrupt_elsewhere"}, false},
		{"aligned", 60, []string{"align"}, false},
		{"plain", 10, nil, true},
		{"plain", 200, nil, true},
		{"qsort", 40, []string{"compare", "msort_with_tmp", "__qsort_r", "sort"}, true},
		{"signal", 40, []string{"handler", "?", "__kill", "interrupt"}, true},
		{"altstack", 10, []string{"handler", "?", "__kill", "interrupt", "interrupt_elsewhere"}, true},
		{"aligned", 40, []string{"align"}, true},
	} {
		t.Run(fmt.Sprint(kind.name, "_", kind.length, "_copied=", kind.copied), func(t *testing.T) {
			change := func(*unwind.Space) {}
			if kind.copied {
				change = asOther
			}
			stacks, copied := p.walked(t, change, kind.name, strconv.Itoa(kind.length))
			require.Equal(t, kind.copied, copied > 0)
			want := append(append([]string{"burn"}, kind.inner...), "end")
			for n := range kind.length {
				want = append(want, []string{"even", "odd"}[(kind.length-1-n)%2])
			}
			want = append(want, "main", "__libc_start_call_main", "__libc_start_main_impl", "_start")
			if kind.copied {
				delete(stacks, event.UserTaken) // too many for copies
			}
			least := 40 // frames fit into a copy, unless there is another stack
			if kind.name == "altstack" {
				least = 4
			}
			exact, other := 0, map[string]int{}
			for end, all := range stacks {
				for _, stack := range all {
					got := p.names(stack)
					switch {
					case end == event.UserComplete && slices.Equal(got, want):
						exact++
					case kind.copied && end == event.UserTruncated && len(got) >= least && slices.Equal(got, want[:len(got)]):
						exact++
					default:
						other[fmt.Sprint(end, " ", len(stack), " ", strings.Join(got, " "))]++
					}
				}
			}
			t.Log(exact, "exact", other)
			require.Greater(t, exact, 20)
			require.Empty(t, other)
		})
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
		_, copied := p.walked(t, change, "plain", "10")
		require.Greater(t, copied, 30, name)
	}
}

// Stacks of 32-bit programs have words of four bytes: frame pointers lead through them,
// the walk by tables would not.
func TestStacksOf32BitProgramsFollowFramePointers(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("builds a program for 32-bit x86")
	}
	p := &program{path: workloads.BuildNarrow(t)}
	stacks, copied := p.walked(t, func(s *unwind.Space) {
		s.Regions = []unwind.Region{{Start: 0x1000, End: 1 << 32}}
	})
	require.Zero(t, copied)
	require.Len(t, stacks, 1)
	require.Greater(t, len(stacks[event.UserTaken]), 30)
	for _, stack := range stacks[event.UserTaken] {
		require.GreaterOrEqual(t, len(stack), 3)
	}
}
