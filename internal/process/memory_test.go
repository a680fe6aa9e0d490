// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// mapped is a record of path at [start, end).
func mapped(k event.KTime, pid uint32, start, end uint64, path string) event.Mapped {
	return event.Mapped{KTime: k, PID: pid, Mapping: event.Mapping{Start: start, End: end, Path: path, BuildID: path}}
}

// at is the path that a life has at an address, "" if none.
func at(l *Life, addr uint64, k event.KTime) string {
	if m := l.Memory().Find(addr, k); m != nil {
		return m.Path
	}
	return ""
}

func TestAProcessTooShortForProcIsKnown(t *testing.T) {
	tab := New(Settings{})
	tab.ObserveMapped([]event.Mapped{
		mapped(13*us, a.PID, 30, 40, "/lib/ld.so"), mapped(12*us, a.PID, 10, 20, "/bin/x"),
	})
	exec := event.Lifecycle{Kind: event.Exec, KTime: 11 * us, Proc: a, Generation: 1}
	round(tab, 20*us, fork(10*us, a, no, 0), exec, end(event.Exit, 14*us, a))
	l := tab.Attribute(hit(13*us, a, 1))
	require.Equal(t, "/bin/x", l.Executable())
	require.Equal(t, "/bin/x", at(l, 15, 13*us))
	require.Empty(t, at(l, 35, 12*us), "it was not there yet")
	require.Empty(t, at(tab.Attribute(hit(10*us, a, 0)), 15, 10*us), "of the image before nothing is known")
	require.Empty(t, tab.Requests(9), "there is nothing to ask")
}

func TestAForkHasItsParentsMemoryOfThen(t *testing.T) {
	tab := New(Settings{})
	tab.ObserveMapped([]event.Mapped{
		mapped(12*us, a.PID, 10, 20, "/bin/x"), mapped(14*us, a.PID, 10, 20, "/parent"), mapped(15*us, b.PID, 30, 40, "/child"),
	})
	exec := event.Lifecycle{Kind: event.Exec, KTime: 11 * us, Proc: a, Generation: 1}
	round(tab, 20*us, fork(10*us, a, no, 0), exec, fork(13*us, b, a, 1))
	parent, child := tab.Attribute(hit(16*us, a, 1)), tab.Attribute(hit(16*us, b, 1))
	require.Equal(t, "/parent", at(parent, 15, 16*us))
	require.Equal(t, "/bin/x", at(parent, 15, 13*us))
	require.Equal(t, "/bin/x", at(child, 15, 16*us))
	require.Equal(t, "/child", at(child, 35, 16*us))
	require.Empty(t, at(parent, 35, 16*us))
	require.Equal(t, "/bin/x", child.Executable())
	require.Empty(t, tab.Requests(9))
}

func TestAMappingIsWhoseThePIDWasThen(t *testing.T) {
	tab := New(Settings{})
	next := event.ProcID{PID: a.PID, Start: a.Start + 1}
	tab.ObserveMapped([]event.Mapped{
		mapped(11*us, a.PID, 10, 20, "/first"), mapped(16*us, a.PID, 10, 20, "/nobody"), mapped(21*us, a.PID, 10, 20, "/next"),
	})
	round(tab, 30*us, fork(10*us, a, no, 0), end(event.Exit, 15*us, a), fork(20*us, next, no, 0), end(event.Free, 25*us, a))
	require.Equal(t, "/next", at(tab.Attribute(hit(22*us, next, 0)), 15, 22*us))
	require.EqualValues(t, 1, tab.Stats().MappedOfNobody)
}

// The scan at the start may find a process before the records of who had its PID
// before are applied.
func TestAMappingOfWhoHadThePIDBeforeTheScan(t *testing.T) {
	tab := New(Settings{})
	next := event.ProcID{PID: a.PID, Start: a.Start + 1}
	require.True(t, tab.Scan([]Task{{Proc: next}}, 20*us, 21*us))
	tab.ObserveMapped([]event.Mapped{mapped(11*us, a.PID, 10, 20, "/first")})
	round(tab, 30*us, fork(10*us, a, no, 0), end(event.Exit, 12*us, a), fork(15*us, next, no, 0))
	require.Empty(t, at(tab.Attribute(hit(22*us, next, 0)), 15, 22*us))
}

// Below a changed root /proc shows where the program is from outside.
func TestThePathIsThatOfTheMapping(t *testing.T) {
	tab := New(Settings{ReadAll: true})
	tab.ObserveMapped([]event.Mapped{mapped(12*us, a.PID, 10, 20, "/bin/x")})
	round(tab, 20*us, fork(10*us, a, no, 0), event.Lifecycle{Kind: event.Exec, KTime: 11 * us, Proc: a, Generation: 1})
	tab.Attribute(hit(13*us, a, 1))
	require.Len(t, tab.Requests(9), 1)
	tab.Answer(saw(21*us, 22*us, a, 1, "/jail/bin/x"))
	round(tab, 30*us)
	l := tab.Attribute(hit(25*us, a, 1))
	require.Equal(t, "/jail/bin/x", l.Image().Executable)
	require.Equal(t, "/bin/x", l.Executable())
}

// Records that were lost leave doubt: what is known is read again.
func TestDoubt(t *testing.T) {
	tab := New(Settings{ReadInterval: 1})
	exec := func(k event.KTime, g event.Generation) event.Lifecycle {
		return event.Lifecycle{Kind: event.Exec, KTime: k, Proc: a, Generation: g}
	}
	tab.ObserveMapped([]event.Mapped{mapped(12*us, a.PID, 10, 20, "/bin/x")})
	round(tab, 20*us, fork(10*us, a, no, 0), exec(11*us, 1))
	tab.Attribute(hit(13*us, a, 1))
	require.Empty(t, tab.Requests(9))
	tab.Doubt(25 * us)
	require.Equal(t, "/bin/x", at(tab.Attribute(hit(22*us, a, 1)), 15, 22*us))
	require.Len(t, tab.Requests(9), 1)
	answer := saw(26*us, 27*us, a, 1, "/bin/x")
	answer.Mappings = []event.Mapping{{Start: 10, End: 20, Path: "/lib/y"}}
	tab.Answer(answer)
	round(tab, 30*us)
	l := tab.Attribute(hit(28*us, a, 1))
	require.Equal(t, "/lib/y", at(l, 15, 28*us))
	require.Equal(t, "/bin/x", at(l, 15, 24*us))
	require.Empty(t, tab.Requests(9))
	// The first mapping of an image that began in doubt may be its second.
	tab.Doubt(45 * us)
	tab.ObserveMapped([]event.Mapped{mapped(41*us, a.PID, 10, 20, "/lib/ld.so")})
	round(tab, 50*us, exec(40*us, 2))
	require.Empty(t, tab.Attribute(hit(42*us, a, 2)).Executable())
	require.Len(t, tab.Requests(9), 1)
}

// Who makes the kernel lose records all the time does not make us read all the time.
func TestDoubtIsBounded(t *testing.T) {
	tab := New(Settings{})
	const second = 1_000_000_000
	round(tab, 20*us, fork(10*us, a, no, 0), event.Lifecycle{Kind: event.Exec, KTime: 11 * us, Proc: a, Generation: 1})
	reads := 0
	for w := event.KTime(second); w <= 20*second; w += second / 2 {
		tab.Doubt(w + 1)
		round(tab, w)
		tab.Attribute(hit(w, a, 1))
		for range tab.Requests(9) {
			reads++
			answer := saw(w-2, w-1, a, 1, "/bin/x")
			tab.Answer(answer)
		}
	}
	require.Equal(t, 2, reads, "one in ten seconds")
}

func TestTheBoundsOfAMemory(t *testing.T) {
	m := &memory{}
	for i := range uint64(maxRegions) {
		require.Zero(t, m.put(&region{event.Mapping{Start: 2 * i, End: 2*i + 1}, 1}))
	}
	require.Equal(t, 1, m.put(&region{event.Mapping{Start: 4 * maxRegions, End: 5 * maxRegions}, 2}))
	require.Equal(t, maxRegions-maxFormer, m.put(&region{event.Mapping{Start: 0, End: 2 * maxRegions}, 3}), "one takes the place of all")
	require.Len(t, m.regions, 1)
	m.forget(3)
	require.Empty(t, m.former)

	// One region that others split again and again.
	m = &memory{}
	m.put(&region{event.Mapping{Start: 0, End: 100 * maxRegions}, 1})
	refused := 0
	for i := range uint64(maxRegions) {
		at := 10 + 3*i
		refused += m.put(&region{event.Mapping{Start: at, End: at + 1, Path: "/x"}, event.KTime(2 + i)})
		require.LessOrEqual(t, len(m.regions), maxRegions)
		if i%100 == 0 {
			m.forget(event.KTime(2 + i))
		}
		if found := m.find(at, event.KTime(2+i)); found != nil {
			require.Equal(t, "/x", found.Path, "the old one is not believed any more")
		}
	}
	require.Positive(t, refused)
	tab := New(Settings{MaxRecords: 1})
	tab.ObserveMapped([]event.Mapped{mapped(1*us, 1, 1, 2, "/x"), mapped(2*us, 1, 1, 2, "/x")})
	require.EqualValues(t, 1, tab.Stats().MappedDropped)
	require.Equal(t, 2*us, tab.doubted)
}

// Who is in doubt for long and runs code that nobody knows is read as one that is not in
// doubt.
func TestMissedInDoubt(t *testing.T) {
	tab := New(Settings{})
	const second = 1_000_000_000
	round(tab, 20*us, fork(10*us, a, no, 0), event.Lifecycle{Kind: event.Exec, KTime: 11 * us, Proc: a, Generation: 1})
	reads := 0
	for w := event.KTime(second); w <= 10*second; w += second / 2 {
		tab.Doubt(w + 1)
		round(tab, w)
		s := hit(w, a, 1)
		tab.Missed(tab.Attribute(s), s)
		for range tab.Requests(9) {
			reads++
			tab.Answer(saw(w-2, w-1, a, 1, "/bin/x"))
		}
	}
	require.Equal(t, 10, reads, "one in a second")
}

// What is kept of a memory stays, whatever is sampled and completed later.
func TestKeptMemoryStays(t *testing.T) {
	tab := New(Settings{})
	tab.ObserveMapped([]event.Mapped{mapped(12*us, a.PID, 10, 20, "/first"), mapped(14*us, a.PID, 10, 20, "/second")})
	exec := event.Lifecycle{Kind: event.Exec, KTime: 11 * us, Proc: a, Generation: 1}
	round(tab, 20*us, fork(10*us, a, no, 0), exec)
	kept := tab.Attribute(hit(13*us, a, 1)).Memory().Keep()
	for until := 30 * us; until < 60*us; until += 10 * us {
		round(tab, until)
		tab.Attribute(hit(until-1, a, 1))
	}
	require.Equal(t, "/first", kept.Find(15, 13*us).Path)
}

// What a read finds is as old as the records, unless something else was there.
func TestTheNewestOfARead(t *testing.T) {
	m := &memory{}
	m.take([]event.Mapping{{Start: 10, End: 20, Path: "/x"}}, 1<<63, 50, 60, 40)
	require.EqualValues(t, 40, m.newest)
	m.take([]event.Mapping{{Start: 10, End: 20, Path: "/y"}}, 1<<63, 70, 80, 40)
	require.EqualValues(t, 70, m.newest)
}

// Code is other code if it is another file, or another place of it.
func TestReplacedCode(t *testing.T) {
	tab := New(Settings{})
	exec := event.Lifecycle{Kind: event.Exec, KTime: 11 * us, Proc: a, Generation: 1}
	moved := mapped(35*us, a.PID, 70, 80, "/lib/moved")
	moved.Offset = 5
	tab.ObserveMapped([]event.Mapped{
		mapped(12*us, a.PID, 10, 20, "/bin/x"), mapped(13*us, a.PID, 30, 40, "/lib/old"), mapped(14*us, a.PID, 50, 60, ""),
		mapped(14*us, a.PID, 70, 80, "/lib/moved"), mapped(15*us, a.PID, 90, 100, "/lib/same"),
	})
	round(tab, 20*us, fork(10*us, a, no, 0), exec)
	tab.ObserveMapped([]event.Mapped{
		mapped(32*us, a.PID, 30, 40, "/lib/new"), mapped(33*us, a.PID, 45, 65, ""), mapped(34*us, a.PID, 110, 120, "/lib/first"),
		moved, mapped(36*us, a.PID, 85, 100, "/lib/same"),
	})
	round(tab, 40*us)
	m := tab.Attribute(hit(39*us, a, 1)).Memory()
	require.EqualValues(t, 36*us, m.Newest())
	for addr, want := range map[uint64]bool{
		15: false, 35: true, 55: false, 75: true, 115: true,
		95:  true, // the same file, but from another place on
		200: false,
	} {
		require.Equal(t, want, m.ReplacedSince(25*us, addr, 39*us), addr)
		require.False(t, m.ReplacedSince(36*us, addr, 39*us), addr)
	}
	require.False(t, m.ReplacedSince(25*us, 35, 31*us), "not yet")
	require.False(t, Memory{}.ReplacedSince(0, 35, 31*us))
	require.Zero(t, Memory{}.Newest())
}
