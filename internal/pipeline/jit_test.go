// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// maker is a process that runs code it made at 0x1000.
var maker = event.ProcID{PID: 7, Start: 70_000_000}

// startMaker returns a pipeline that has seen a sample of the maker and its request.
func startMaker(t *testing.T) (*Pipeline, PerfMapRequest) {
	t.Helper()
	p := newPipeline()
	p.Scan([]event.Task{{Proc: maker}}, 1010*ms, 1020*ms)
	s := sample(1100*ms, 7, 0x1010)
	s.Proc = maker
	p.Batch(&event.Batch{Samples: []event.Sample{s}, Mapped: []event.Mapped{
		{KTime: 1050 * ms, PID: 7, Mapping: event.Mapping{Start: 0x1000, End: 0x2000}},
	}})
	p.Complete(1150 * ms)
	requests := p.PerfMapRequests(9)
	require.Len(t, requests, 1)
	require.EqualValues(t, 7, requests[0].PID)
	return p, requests[0]
}

// says is an answer with a name for 0x1000 to 0x1fff.
func says(r PerfMapRequest, from, to event.KTime, name string) PerfMapAnswer {
	m, err := symbol.ReadPerfMap(strings.NewReader("1000 1000 " + name + "\n"))
	if err != nil {
		panic(err)
	}
	return PerfMapAnswer{PerfMapRequest: r, From: from, To: to, StartTick: 7, Map: m, Size: 9}
}

// named is what the only frame of user code in a window is called.
func named(t *testing.T, closed []*Window) string {
	t.Helper()
	require.Len(t, closed, 1)
	l := closed[0].Resolve(profile.Frame{Binary: firstMapped, Offset: 0x1010})
	if len(l.Lines) == 0 {
		return ""
	}
	return l.Lines[0].Function
}

func TestCodeMadeAtRunTimeHasItsName(t *testing.T) {
	p, r := startMaker(t)
	p.PerfMapRead(says(r, 1160*ms, 1170*ms, "made"))
	require.Equal(t, "made", named(t, p.Flush(1200*ms)))
	require.Equal(t, PerfMaps{Read: 1}, p.Stats().PerfMaps)
}

// The window that saw a process keeps the names when that is forgotten.
func TestNamesOutliveTheProcessInTheWindow(t *testing.T) {
	p, r := startMaker(t)
	p.PerfMapRead(says(r, 1160*ms, 1170*ms, "made"))
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{
		{Kind: event.Exit, KTime: 1180 * ms, Proc: maker}, {Kind: event.Free, KTime: 1190 * ms, Proc: maker},
	}})
	p.Complete(1200 * ms)
	require.Empty(t, p.jit.maps)
	require.Zero(t, p.jit.bytes)
	require.Equal(t, "made", named(t, p.Flush(1300*ms)))
}

// What may be of the next process with the PID, or of the next image, is refused.
func TestNamesOfAnotherAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*PerfMapAnswer)
		lifecycle []event.Lifecycle
	}{
		"another start":        {change: func(a *PerfMapAnswer) { a.StartTick++ }},
		"exit during the read": {lifecycle: []event.Lifecycle{{Kind: event.Exit, KTime: 1165 * ms, Proc: maker}}},
		"exec during the read": {lifecycle: []event.Lifecycle{{Kind: event.Exec, KTime: 1165 * ms, Proc: maker, Generation: 1}}},
	} {
		p, r := startMaker(t)
		a := says(r, 1160*ms, 1170*ms, "another's")
		if c.change != nil {
			c.change(&a)
		}
		p.PerfMapRead(a)
		p.Batch(&event.Batch{Lifecycle: c.lifecycle})
		require.Empty(t, named(t, p.Flush(1200*ms)), name)
		require.Equal(t, PerfMaps{Refused: 1}, p.Stats().PerfMaps, name)
	}
}

// What was not read for lack of an allowance is asked for again.
func TestAListThatWasNotRead(t *testing.T) {
	p, r := startMaker(t)
	p.PerfMapRead(PerfMapAnswer{PerfMapRequest: r, From: 1160 * ms, To: 1170 * ms, StartTick: 7, Refused: true})
	require.Empty(t, named(t, p.Flush(1200*ms)))
	require.Equal(t, PerfMaps{TooLarge: 1}, p.Stats().PerfMaps)
	s := sample(1300*ms, 7, 0x1010)
	s.Proc = maker
	p.Batch(batch(s))
	p.Complete(1400 * ms)
	again := p.PerfMapRequests(9)
	require.Len(t, again, 1)
	require.Zero(t, again[0].Size)
}

func TestFrameTypes(t *testing.T) {
	for file, want := range map[string]string{
		"": "native", "/": "native", "/usr/bin/node": "v8js", "/usr/lib/libnode.so.108": "v8js", "/opt/jdk-17/bin/java": "jvm",
		"/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so": "jvm", "/usr/bin/python3.12": "cpython",
		"/usr/lib/libpython3.12.so.1.0": "cpython", "/usr/share/dotnet/libcoreclr.so": "dotnet", "/usr/bin/php8.2": "php",
		"/usr/sbin/php-fpm8.2": "php", "/usr/bin/luajit-2.1.0-beta3": "luajit", "/usr/lib/erlang/erts-13.1.5/bin/beam.smp": "beam",
		"/usr/bin/ruby3.1": "ruby", "/usr/bin/qemu-system-x86_64": "native", "/usr/lib/libc.so.6": "native",
	} {
		got := runtimes[stem(file)]
		if got == "" {
			got = "native"
		}
		require.Equal(t, want, got, file)
	}
}

func TestAnAnswerWaitsForItsCompletion(t *testing.T) {
	p, r := startMaker(t)
	p.PerfMapRead(says(r, 1160*ms, 1170*ms, "made"))
	p.Complete(1165 * ms)
	require.Zero(t, p.Stats().PerfMaps)
	p.Complete(1170 * ms)
	require.Equal(t, PerfMaps{Read: 1}, p.Stats().PerfMaps)
}

// A list is looked at once in a window, and only for code without a name.
func TestAListIsReadAgainForNewCode(t *testing.T) {
	p, r := startMaker(t)
	p.PerfMapRead(says(r, 1160*ms, 1170*ms, "made"))
	p.Complete(2000 * ms)
	more := func(k event.KTime, address uint64) []PerfMapRequest {
		s := sample(k, 7, address)
		s.Proc = maker
		p.Batch(batch(s, s))
		p.Complete(k)
		return p.PerfMapRequests(9)
	}
	require.Empty(t, more(2100*ms, 0x1020))
	p.Batch(&event.Batch{Mapped: []event.Mapped{
		{KTime: 2150 * ms, PID: 7, Mapping: event.Mapping{Start: 0x5000, End: 0x6000}},
	}})
	again := more(2200*ms, 0x5000)
	require.Len(t, again, 1)
	require.EqualValues(t, 9, again[0].Size)
	p.PerfMapRead(PerfMapAnswer{PerfMapRequest: again[0], From: 2201 * ms, To: 2202 * ms, StartTick: 7, Size: 9})
	require.Empty(t, more(2300*ms, 0x5000), "in the next window")
	require.Equal(t, PerfMaps{Read: 1, Unchanged: 1}, p.Stats().PerfMaps)
	p.Complete(3000 * ms)
	require.Len(t, more(3100*ms, 0x5000), 1)
}

// Nobody would forget the list of a life that is over.
func TestNoListIsAskedForOfWhoIsOver(t *testing.T) {
	j := newJIT(true)
	j.want(life)
	require.Empty(t, j.maps)
	require.Empty(t, j.requests(9))
}

// Code in what looks like a file has the names of the list by its address, each process its
// own; without them the file tells, if it is one.
func TestCodeMadeInAMemfd(t *testing.T) {
	p := newPipeline()
	p.Scan([]event.Task{{Proc: maker}, {Proc: event.ProcID{PID: 8, Start: 80_000_000}}}, 1010*ms, 1020*ms)
	b := &event.Batch{}
	for pid, start := range map[uint32]uint64{7: 0x1000, 8: 0x5000} {
		s := sample(1100*ms, pid, start+0x10, start+0x810)
		s.Proc.Start = event.BootTime(pid) * 10_000_000
		b.Samples = append(b.Samples, s)
		b.Mapped = append(b.Mapped, event.Mapped{KTime: 1050 * ms, PID: pid, Mapping: event.Mapping{
			Start: start, End: start + 0x1000, Offset: 0x3000, Path: "/memfd:doublemapper", File: event.File{Device: 1, Inode: 9, Generation: 2},
		}})
	}
	p.Batch(b)
	p.Complete(1150 * ms)
	for _, r := range p.PerfMapRequests(9) {
		a := says(r, 1160*ms, 1170*ms, "made")
		if r.PID == 8 {
			a.Map, _ = symbol.ReadPerfMap(strings.NewReader("5000 800 other\n"))
			a.StartTick = 8
		}
		p.PerfMapRead(a)
	}
	closed := p.Flush(1200 * ms)
	require.Len(t, closed, 1)
	names := map[string]int{}
	for _, of := range []profile.BinaryID{firstMapped, firstMapped + 1} {
		for _, offset := range []uint64{0x3010, 0x3810} {
			l := closed[0].Resolve(profile.Frame{Binary: of, Offset: offset})
			require.Equal(t, "/memfd:doublemapper", l.Mapping.Filename)
			require.Equal(t, offset, l.Address)
			if len(l.Lines) > 0 {
				names[l.Lines[0].Function]++
			} else {
				names[""]++
			}
		}
	}
	require.Len(t, closed[0].binaries, 2)
	require.Equal(t, map[string]int{"made": 2, "other": 1, "": 1}, names)
	require.Len(t, p.FileRequests(9), 1, "a program may have been copied into memory")
}

// The request says since when the program runs: lists of what ran before it are not its own.
func TestListsAreAskedForSinceTheExec(t *testing.T) {
	p := newPipeline()
	p.Scan([]event.Task{{Proc: maker}}, 1010*ms, 1020*ms)
	s := sample(1100*ms, 7, 0x1010)
	s.Proc, s.Generation = maker, 1
	p.Batch(&event.Batch{
		Lifecycle: []event.Lifecycle{{Kind: event.Exec, KTime: 1030 * ms, Proc: maker, Generation: 1}},
		Samples:   []event.Sample{s},
		Mapped:    []event.Mapped{{KTime: 1050 * ms, PID: 7, Mapping: event.Mapping{Start: 0x1000, End: 0x2000}}},
	})
	p.Complete(1150 * ms)
	requests := p.PerfMapRequests(9)
	require.Len(t, requests, 1)
	require.Equal(t, 1030*ms, requests[0].Since)
}
