// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/demangle"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
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
	n := s.TimestampsUnixNano().Len()
	for i, l := range userFrames(d, s) {
		file := fileOf(d, l)
		if i == 0 {
			c.leaves += n
			if file != "" {
				c.mapped += n
			}
		}
		if file == program {
			c.own += n
			if l.Lines().Len() > 0 {
				c.named += n
			}
		}
	}
}

// userFrames are a sample's, innermost first.
func userFrames(d pprofile.ProfilesDictionary, s pprofile.Sample) (out []pprofile.Location) {
	for _, i := range d.StackTable().At(int(s.StackIndex())).LocationIndices().All() {
		l := d.LocationTable().At(int(i))
		if attribute(d, l.AttributeIndices(), "profile.frame.type") != "kernel" {
			out = append(out, l)
		}
	}
	return out
}

// fileOf is the name of the file that a frame is in.
func fileOf(d pprofile.ProfilesDictionary, l pprofile.Location) string {
	return d.StringTable().At(int(d.MappingTable().At(int(l.MappingIndex())).FilenameStrindex()))
}

// attribute is the value of one among those of an entry.
func attribute(d pprofile.ProfilesDictionary, indices pcommon.Int32Slice, key string) string {
	for _, i := range indices.All() {
		a := d.AttributeTable().At(int(i))
		if d.StringTable().At(int(a.KeyStrindex())) == key {
			return a.Value().Str()
		}
	}
	return ""
}

// coverageOf reads what profiles tell of processes with the name of the program.
func coverageOf(all []pprofile.Profiles, name, program string) coverage {
	return coverageWhere(all, program, func(a pcommon.Map) bool { return text(a, "process.executable.name").Str() == name })
}

// coverageWhere reads what they tell of processes that are the program.
func coverageWhere(all []pprofile.Profiles, program string, is func(resource pcommon.Map) bool) (c coverage) {
	eachSample(all, func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		if !is(a) {
			return
		}
		n := s.TimestampsUnixNano().Len()
		c.samples += n
		if text(a, "process.executable.path").Str() == program {
			c.placed += n
		}
		c.add(d, s, program)
	})
	return c
}

// eachSample visits samples with the attributes of their resource.
func eachSample(all []pprofile.Profiles, visit func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample)) {
	for _, p := range all {
		for _, rp := range p.ResourceProfiles().All() {
			for _, sp := range rp.ScopeProfiles().All() {
				for _, profile := range sp.Profiles().All() {
					for _, s := range profile.Samples().All() {
						visit(rp.Resource().Attributes(), p.Dictionary(), s)
					}
				}
			}
		}
	}
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

// asConfigured are settings with the intervals that a user has.
func asConfigured(hz int) receiver.Settings {
	s := fast()
	s.SamplesPerSecond, s.PollInterval, s.CompletionInterval = hz, 250*time.Millisecond, 500*time.Millisecond
	s.ReporterInterval = 2 * time.Second
	return s
}

// profiledAsConfigured runs something while a receiver looks with the intervals that
// a user has.
func profiledAsConfigured(t *testing.T, hz int, run func()) []pprofile.Profiles {
	t.Helper()
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, asConfigured(hz), sink)
	run()
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
	roottest.InTime(t)
	roottest.Need(t)
	starter := workloads.BuildLives(t)
	for _, ms := range []int{1, 2, 5, 10, 20, 50, 200} {
		t.Run(fmt.Sprint(ms, "_ms"), func(t *testing.T) {
			fresh := workloads.BuildRelocatedLives(t).Beta
			all := profiledAsConfigured(t, 997, func() {
				starter.Run(t, "repeat %d ( vfork ( exec %s burn 3 %d ) )", max(3, burned()/ms), fresh, ms)
			})
			require.Empty(t, judge(all, workloads.ByName).wrong)
			coverageOf(all, "beta", fresh).require(t, burned()/4)
		})
	}
}

// The same where PIDs come back at once: programs take turns on few of them.
func TestShortLivesOnFewPIDsAreCovered(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	const pids = 48
	starter := workloads.BuildLives(t)
	for _, ms := range []int{1, 2, 5, 10, 20, 50, 200} {
		t.Run(fmt.Sprint(ms, "_ms"), func(t *testing.T) {
			fresh := workloads.BuildRelocatedLives(t)
			first := workloads.FreePIDs(t, pids)
			var script strings.Builder
			for i := range max(6, burned()/ms) {
				fmt.Fprintf(&script, "at %d ( exec %s burn %d %d ) ", first+i%pids, fresh.Program(i/pids+i), i%16, ms)
			}
			all := profiledAsConfigured(t, 997, func() { starter.Run(t, "%s", script.String()) })
			v := judge(all, workloads.ByName)
			require.Empty(t, v.wrong)
			for in, slots := range v.slots {
				require.Len(t, slots, 1, "%+v", in)
			}
			// Who starts them is an alpha too.
			coverageOf(all, "beta", fresh.Beta).require(t, burned()/8)
		})
	}
}

// Who lives when the receiver starts is told once, as is who is born meanwhile. Only of
// those that began before, and are over before they can be read, the program is not known.
func TestLivesAroundTheStart(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	starter, fresh := workloads.BuildLives(t), filepath.Join(t.TempDir(), "around")
	require.NoError(t, os.Rename(workloads.BuildRelocatedLives(t).Beta, fresh))
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() { starter.Run(t, "repeat %d ( vfork ( exec %s burn 3 20 ) )", burned()/2, fresh) })
	}
	running.Go(func() { starter.Run(t, "vfork ( exec %s burn 3 %d )", fresh, 8*burned()) })
	time.Sleep(200 * time.Millisecond)
	sink := &consumertest.ProfilesSink{}
	tab := startTable(t, asConfigured(997), sink)
	started := time.Now()
	running.Wait()
	time.Sleep(1200 * time.Millisecond)
	mapped := tab.storm(t)
	require.NoError(t, tab.Shutdown(t.Context()))
	all := sink.AllProfiles()
	c := coverageOf(all, "around", fresh)
	t.Logf("%+v, of mappings %d records lost", c, mapped.mappingsLost)
	require.Greater(t, c.placed, burned()/10, "the test has no power")
	least := 90.0
	if testing.Short() {
		least = 50 // most of it is the start
	}
	require.Greater(t, percent(c.placed, c.samples), least)
	type tick struct{ pid, time int64 }
	born, ticks := map[int64]string{}, map[tick]bool{}
	eachSample(all, func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		if text(a, "process.executable.name").Str() != "around" {
			return
		}
		pid, created := text(a, "process.pid").Int(), text(a, "process.creation.time").Str()
		// A window may close in the middle of an exec, when nothing is mapped yet.
		if text(a, "process.executable.path").Str() == "" && len(userFrames(d, s)) > 0 && mapped.mappingsLost == 0 {
			at, err := time.Parse(time.RFC3339Nano, created)
			require.NoError(t, err)
			require.True(t, at.Before(started), "%s after %s", created, started)
		}
		require.Equal(t, cmp.Or(born[pid], created), created, "one process is told as two")
		born[pid] = created
		for _, at := range s.TimestampsUnixNano().All() {
			require.False(t, ticks[tick{pid, int64(at)}], "a sample is told twice")
			ticks[tick{pid, int64(at)}] = true
		}
	})
}

// A path that leads to another program each time: of those that are gone nobody has the
// names of another.
func TestReplacedProgramsAreToldApart(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	starter := workloads.BuildLives(t)
	for name, flag := range map[string]string{"by build ID": "-Wl,--build-id=sha1", "by inode": "-Wl,--build-id=none"} {
		t.Run(name, func(t *testing.T) {
			lives := workloads.BuildRelocatedLives(t, flag)
			dir := t.TempDir()
			path := filepath.Join(dir, "program")
			all := profiledAsConfigured(t, 997, func() {
				for i := range burned() / 10 {
					content, err := os.ReadFile(lives.Program(i))
					require.NoError(t, err)
					_ = os.Remove(path) // what is written next may get its inode
					require.NoError(t, os.WriteFile(path, content, 0o755))
					starter.Run(t, "repeat 2 ( vfork ( exec %s burn %d 5 ) )", path, i%2)
					if i%32 < 2 { // some live until they are looked at
						starter.Run(t, "vfork ( exec %s burn %d 1500 )", path, i%2)
					}
				}
			})
			slots := map[string]int{}
			eachSample(all, func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
				if text(a, "process.executable.path").Str() != path {
					return
				}
				for _, l := range userFrames(d, s) {
					if f := functionOf(d, l); strings.Contains(f, "_slot_") {
						slots[f] += s.TimestampsUnixNano().Len()
					}
				}
			})
			t.Log(slots)
			require.Greater(t, slots["alpha_slot_0"]+slots["beta_slot_1"], burned()/20, "the test has no power")
			require.LessOrEqual(t, len(slots), 2)
			require.Zero(t, slots["alpha_slot_1"]+slots["beta_slot_0"])
		})
	}
}

// A program without build ID that is written over while nothing runs it has its own names and
// lines from then on, not those of what the file was before.
func TestProgramsThatAreWrittenOverAreReadAgain(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	program := func(name string) string {
		text := strings.ReplaceAll(burning, "burn", name) + "int main(void)\n{\n\t" + name + "();\n\t" + name + "();\n\t" + name + "();\n\treturn 0;\n}\n"
		return compiled(t, name, text, "-g", "-Wl,--build-id=none")
	}
	path := filepath.Join(t.TempDir(), "program")
	var written time.Time
	all := profiledAsConfigured(t, 997, func() {
		for _, name := range []string{"former", "latter"} {
			content, err := os.ReadFile(program(name))
			require.NoError(t, err)
			written = time.Now()
			require.NoError(t, os.WriteFile(path, content, 0o755))
			// Its lines come with the second window at the latest.
			interval := asConfigured(997).ReporterInterval
			for end := written.Add(interval + time.Second); time.Now().Before(end); {
				runs(t, path)
			}
			time.Sleep(interval + time.Second) // what ran within the window may have the names of the next
		}
	})
	right, wrong := map[string]int{}, map[string]int{}
	eachSample(all, func(_ pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		for _, l := range userFrames(d, s) {
			if fileOf(d, l) != path {
				continue
			}
			for _, line := range l.Lines().All() {
				function := d.FunctionTable().At(int(line.FunctionIndex()))
				if d.StringTable().At(int(function.FilenameStrindex())) == "" {
					continue
				}
				name := strings.TrimSuffix(filepath.Base(d.StringTable().At(int(function.FilenameStrindex()))), ".c")
				for _, k := range s.TimestampsUnixNano().All() {
					if after := k > uint64(written.UnixNano()); (name == "former" && after) || (name == "latter" && !after) {
						wrong[name]++
					} else {
						right[name]++
					}
				}
			}
		}
	})
	t.Log(right, wrong)
	require.Greater(t, right["former"], 200)
	require.Greater(t, right["latter"], 200)
	require.Empty(t, wrong)
}

// Libraries that take each other's place are told apart, by when they were there.
func TestLibrariesThatTakeTurns(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	n := burned() / 2
	command := workloads.BuildLibraries(t, n)
	all := profiledAsConfigured(t, 997, func() {
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		again, err := strconv.Atoi(strings.TrimSpace(string(out)))
		require.NoError(t, err)
		require.Greater(t, again, n*9/10, "they lie at one place")
	})
	right, none, wrong := 0, 0, map[string]int{}
	eachSample(all, func(_ pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		library := workloads.LibraryOf(attribute(d, s.AttributeIndices(), "thread.name"))
		frames := userFrames(d, s)
		if library == "" || len(frames) == 0 {
			return
		}
		samples := s.TimestampsUnixNano().Len()
		switch file := fileOf(d, frames[0]); workloads.LibraryOf(file) {
		case library:
			right += samples
		case "":
			if file == "" {
				none += samples
			}
		default:
			wrong[library+" in "+file] += samples
		}
	})
	t.Logf("%d samples in their library, %d in nothing", right, none)
	require.Empty(t, wrong)
	require.Greater(t, right, n, "the test has no power")
	require.LessOrEqual(t, none, right/100)
}

// Names of C++ are sent as people write them, with the symbol beside.
func TestNamesAreDemangled(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	program := workloads.BuildMangled(t)
	for mode, want := range map[demangle.Mode][2]string{
		demangle.None:       {workloads.Mangled, ""},
		demangle.Simplified: {"workload::burn", workloads.Mangled},
		demangle.Full:       {"void workload::burn<int>(int)", workloads.Mangled},
	} {
		s := fast()
		s.SamplesPerSecond, s.Demangle = 997, mode
		sink := &consumertest.ProfilesSink{}
		r := startKernel(t, s, sink)
		require.NoError(t, exec.Command(program).Run())
		require.NoError(t, r.Shutdown(t.Context()))
		samples := 0
		eachSample(sink.AllProfiles(), func(_ pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
			frames := userFrames(d, s)
			if len(frames) == 0 || fileOf(d, frames[0]) != program || frames[0].Lines().Len() == 0 {
				return
			}
			f := d.FunctionTable().At(int(frames[0].Lines().At(frames[0].Lines().Len() - 1).FunctionIndex()))
			name := d.StringTable().At(int(f.NameStrindex()))
			if !strings.Contains(name, "burn") {
				return
			}
			require.Equal(t, want, [2]string{name, d.StringTable().At(int(f.SystemNameStrindex()))})
			samples += s.TimestampsUnixNano().Len()
		})
		require.Greater(t, samples, 100, mode)
	}
}

// Code that a program made itself has the names that it wrote down, also what it made
// after its list was read.
func TestCodeMadeAtRunTimeIsNamed(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	program := workloads.BuildJIT(t)
	s := fast()
	s.SamplesPerSecond = 997
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, s, sink)
	require.NoError(t, exec.Command(program, "3").Run())
	require.NoError(t, r.Shutdown(t.Context()))
	samples, nameless := map[string]int{}, 0
	eachSample(sink.AllProfiles(), func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		frames := userFrames(d, s)
		if text(a, "process.executable.path").Str() != program || len(frames) == 0 || fileOf(d, frames[0]) != "" {
			return
		}
		if frames[0].Lines().Len() == 0 {
			nameless += s.TimestampsUnixNano().Len()
			return
		}
		f := d.FunctionTable().At(int(frames[0].Lines().At(0).FunctionIndex()))
		samples[d.StringTable().At(int(f.NameStrindex()))] += s.TimestampsUnixNano().Len()
	})
	t.Log(samples, nameless, "without a name")
	require.Len(t, samples, 2)
	for _, name := range workloads.Made {
		require.Greater(t, samples[name], 997, name)
	}
	require.Less(t, nameless, 2*997, "a window is named when its list has been read")
}

// wholeStacks counts the samples in burn of the program deep that have every link of
// its chain, up to where it began, and the others by what they are.
func wholeStacks(all []pprofile.Profiles, program string, chain int) (whole int, other map[string]int) {
	other = map[string]int{}
	eachSample(all, func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		frames := userFrames(d, s)
		if text(a, "process.executable.path").Str() != program || len(frames) == 0 || functionOf(d, frames[0]) != "burn" {
			return
		}
		links, last := 0, ""
		for _, l := range frames {
			if last = functionOf(d, l); last == "even" || last == "odd" {
				links++
			}
		}
		if links == chain && last == "_start" {
			whole += s.TimestampsUnixNano().Len()
		} else {
			other[fmt.Sprint(len(frames), " frames, ", links, " links, ends in ", last)] += s.TimestampsUnixNano().Len()
		}
	})
	return whole, other
}

// functionOf is the function of a location, not what was inlined into it.
func functionOf(d pprofile.ProfilesDictionary, l pprofile.Location) string {
	n := l.Lines().Len()
	if n == 0 {
		return "?"
	}
	f := d.FunctionTable().At(int(l.Lines().At(n - 1).FunctionIndex()))
	return d.StringTable().At(int(f.NameStrindex()))
}

// Every stack is whole, without frame pointers and from the first sample on: before its
// tables are placed it is copied.
func TestStacksAreWhole(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	for name, c := range map[string]struct {
		flags []string
		runs  int
		each  time.Duration
		links string
	}{
		"one":           {nil, 1, 4 * time.Second, "40"},
		"one, static":   {[]string{"-static", "-no-pie"}, 1, 4 * time.Second, "40"},
		"short":         {nil, 60, 100 * time.Millisecond, "30"},
		"short, static": {[]string{"-static", "-no-pie"}, 60, 100 * time.Millisecond, "30"},
	} {
		program := workloads.BuildDeep(t, c.flags...)
		profiles := profiledAsConfigured(t, 97, func() {
			for range c.runs {
				ctx, cancel := context.WithTimeout(t.Context(), c.each)
				_ = exec.CommandContext(ctx, program, "qsort", c.links).Run() // it burns until it is killed
				cancel()
			}
		})
		links, err := strconv.Atoi(c.links)
		require.NoError(t, err)
		whole, other := wholeStacks(profiles, program, links)
		t.Log(name, whole, "whole,", other)
		require.Greater(t, whole, 100, name)
		require.Empty(t, other, name)
	}
}

// The code that the kernel gives each process has a table and names, and the same
// addresses in every process.
func TestTheVDSOIsWalkedAndNamed(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	program := workloads.BuildClock(t)
	profiles := profiledAsConfigured(t, 97, func() {
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			_ = exec.CommandContext(ctx, program).Run() // it goes on until it is killed
			cancel()
		}
	})
	whole, other, pages := 0, map[string]int{}, map[uint64]bool{}
	eachSample(profiles, func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		frames := userFrames(d, s)
		if text(a, "process.executable.path").Str() != program || len(frames) == 0 || fileOf(d, frames[0]) != event.VDSO {
			return
		}
		pages[frames[0].Address()>>16] = true
		var names []string
		for _, l := range frames {
			names = append(names, functionOf(d, l))
		}
		n := s.TimestampsUnixNano().Len()
		// Where the clock is a hypervisor's, a function without a symbol reads it
		// (vread_pvclock, arch/x86/include/asm/vdso/gettimeofday.h, v6.12).
		if stack := strings.TrimPrefix(strings.Join(names, " "), "? "); strings.HasPrefix(stack, "__vdso_clock_gettime ") && strings.Contains(stack, " clock_gettime read_clock watch main ") && strings.HasSuffix(stack, " _start") {
			whole += n
		} else {
			other[stack] += n
		}
	})
	t.Log(whole, "whole,", other)
	require.Greater(t, whole, 50)
	require.Empty(t, other)
	require.Len(t, pages, 1, "where it is mapped does not matter")
}

// Go programs without symbols have functions, lines and inlined calls.
func TestGoFramesHaveLines(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	program, burning := workloads.BuildGoInline(t)
	s := fast()
	s.SamplesPerSecond = 997
	sink := &consumertest.ProfilesSink{}
	r := startKernel(t, s, sink)
	require.NoError(t, exec.Command(program).Run())
	require.NoError(t, r.Shutdown(t.Context()))
	// Which instruction of the loop is interrupted most depends on the CPU.
	loop := []string{fmt.Sprintf("main.inner main.go:%d", burning-1), fmt.Sprintf("main.inner main.go:%d", burning)}
	right, other := map[string]int{}, map[string]int{}
	eachSample(sink.AllProfiles(), func(_ pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		frames := userFrames(d, s)
		if len(frames) == 0 || fileOf(d, frames[0]) != program {
			return
		}
		lines := linesOf(d, frames[0])
		n := s.TimestampsUnixNano().Len()
		if len(lines) == 2 && slices.Contains(loop, lines[0]) && strings.HasPrefix(lines[1], "main.outer main.go:") {
			right[lines[0]] += n
		} else {
			other[strings.Join(lines, ", ")] += n
		}
	})
	t.Log(right, "in the inlined loop,", other)
	require.Greater(t, right[loop[0]]+right[loop[1]], 400, "of 1994 at most")
	require.Positive(t, right[loop[1]])
	for lines := range other {
		require.NotContains(t, lines, "main.inner")
	}
}

// A load of many short processes: the CPU time of each program is what the kernel
// accounts to its processes.
func TestTimeOfShortProcessesByProgram(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	words := strings.Repeat("the quick brown fox jumps over the lazy dog\n", 20000)
	source := "int f0(int x) { return x; }\n"
	for i := 1; i < 300; i++ {
		source += fmt.Sprintf("int f%d(int x) { return f%d(x * %d) %% 7 + x; }\n", i, i-1, i)
	}
	compiler, err := exec.Command("gcc", "-print-prog-name=cc1").Output()
	require.NoError(t, err)
	programs := []struct {
		input   string
		command []string
	}{
		{words, []string{"gzip", "-c"}},
		{words, []string{"sort"}},
		{words, []string{"awk", `{ for (i = 1; i <= NF; i++) n[$i]++ } END { print n["fox"] }`}},
		{source, []string{strings.TrimSpace(string(compiler)), "-quiet", "-O1", "-o", "/dev/null", "-"}},
	}
	spent, runs := map[string]time.Duration{}, map[string]int{}
	all := profiledAsConfigured(t, 997, func() {
		for _, p := range programs {
			path := realPath(t, p.command[0])
			for spent[path] < time.Duration(burned())*time.Millisecond {
				c := exec.Command(path, p.command[1:]...)
				c.Stdin = strings.NewReader(p.input)
				require.NoError(t, c.Run())
				spent[path] += c.ProcessState.UserTime() + c.ProcessState.SystemTime()
				runs[path]++
			}
		}
	})
	samples := map[string]int{}
	eachSample(all, func(a pcommon.Map, _ pprofile.ProfilesDictionary, s pprofile.Sample) {
		samples[text(a, "process.executable.path").Str()] += s.TimestampsUnixNano().Len()
	})
	for path, cpu := range spent {
		due := 997 * cpu.Seconds()
		off, sigma := float64(samples[path])/due-1, 1/math.Sqrt(due)
		t.Logf("%s: %d runs, %v, %d samples, %+.1f %% (sigma %.1f %%)", path, runs[path], cpu, samples[path], 100*off, 100*sigma)
		// Five times what is aimed at: 2 %, or three sigma.
		require.Less(t, math.Abs(off), 5*max(0.02, 3*sigma))
	}
}

// realPath is where a command is, without links.
func realPath(t *testing.T, command string) string {
	t.Helper()
	path, err := exec.LookPath(command)
	require.NoError(t, err)
	path, err = filepath.EvalSymlinks(path)
	require.NoError(t, err)
	return path
}
