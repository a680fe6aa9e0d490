// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Short forms for the tests; times are in µs where they are literals.
const us = event.KTime(1000)

func id(pid uint32, start event.BootTime) event.ProcID { return event.ProcID{PID: pid, Start: start} }

func comm(s string) (c event.Comm) {
	copy(c[:], s)
	return c
}

func fork(k event.KTime, p, parent event.ProcID, g event.Generation) event.Lifecycle {
	return event.Lifecycle{Kind: event.Fork, KTime: k, Proc: p, Generation: g, Parent: parent,
		ParentGeneration: g, Comm: comm("fork")}
}

func exec(k event.KTime, p event.ProcID, g event.Generation) event.Lifecycle {
	return event.Lifecycle{Kind: event.Exec, KTime: k, Proc: p, Generation: g, Comm: comm("exec")}
}

func end(kind event.Kind, k event.KTime, p event.ProcID) event.Lifecycle {
	return event.Lifecycle{Kind: kind, KTime: k, Proc: p}
}

func hit(k event.KTime, p event.ProcID, g event.Generation) *event.Sample {
	return &event.Sample{KTime: k, Proc: p, Generation: g, TID: p.PID, Comm: comm("thread")}
}

// saw answers that a read of p in [from, to] showed the executable exe.
func saw(from, to event.KTime, p event.ProcID, g event.Generation, exe string) Answer {
	return Answer{Request: Request{p, g}, From: from, To: to, StartTick: uint64(p.Start) / tick,
		Image: &Image{Executable: exe}}
}

// round runs a completion without samples.
func round(t *Table, w event.KTime, rs ...event.Lifecycle) Eviction {
	t.Observe(rs)
	t.Complete(w)
	return t.Evict(w)
}

func exe(t *Table, k event.KTime, p event.ProcID, g event.Generation) string {
	return t.Attribute(hit(k, p, g)).Image().executable()
}

func (im *Image) executable() string {
	if im == nil {
		return ""
	}
	return im.Executable
}

var (
	a  = id(1, 5_000_000_123)
	a2 = id(1, 5_000_000_456) // the same PID, the same tick
	b  = id(2, 6_000_000_000)
	no event.ProcID
)

func TestInstancesOfOnePIDStayApart(t *testing.T) {
	tab := New(Settings{})
	round(tab, 10*us, fork(1*us, a, no, 0), end(event.Exit, 2*us, a), fork(3*us, a2, no, 0))
	require.EqualValues(t, 1, tab.Stats().PIDReuses)
	la, la2 := tab.Attribute(hit(4*us, a, 0)), tab.Attribute(hit(4*us, a2, 0))
	require.NotSame(t, la, la2)
	require.Equal(t, a, la.Proc)
	require.Equal(t, a2, la2.Proc)
	require.Equal(t, []*Life{la}, round(tab, 20*us, end(event.Free, 12*us, a)).Gone)
	require.Same(t, la2, tab.Attribute(hit(13*us, a2, 0)), "an old free does not touch it")
	require.Equal(t, 1, tab.Stats().Live)
}

func TestEvictionWaitsForTheFree(t *testing.T) {
	tab := New(Settings{})
	tab.Observe([]event.Lifecycle{fork(1*us, a, no, 0), end(event.Exit, 2*us, a), end(event.Free, 20*us, a)})
	require.Empty(t, round(tab, 10*us).Gone)
	require.Equal(t, 1, tab.Stats().Exiting)
	require.Empty(t, round(tab, 20*us-1).Gone)
	require.Len(t, round(tab, 20*us).Gone, 1)
	require.Zero(t, tab.Stats().Exiting)
	require.EqualValues(t, 1, tab.Stats().Evictions)
}

func TestFreeOfAnUnknownInstance(t *testing.T) {
	tab := New(Settings{})
	require.Empty(t, round(tab, 10*us, end(event.Exit, 1*us, a), end(event.Free, 2*us, a)).Gone)
	require.Zero(t, tab.Stats().Evictions)
	// A sample from before the free, in the same round: it must not stay.
	tab.Observe([]event.Lifecycle{end(event.Free, 12*us, b)})
	tab.Complete(20 * us)
	l := tab.Attribute(hit(11*us, b, 0))
	require.Equal(t, []*Life{l}, tab.Evict(20*us).Gone)
	require.Empty(t, tab.instances)
}

func TestRecordsAreIdempotent(t *testing.T) {
	tab := New(Settings{})
	rs := []event.Lifecycle{fork(1*us, a, b, 0), exec(2*us, a, 1), end(event.Exit, 3*us, a)}
	tab.Scan([]Task{{Proc: a, Generation: 1, Comm: comm("task")}}, 1, 4*us)
	round(tab, 10*us, append(rs, rs...)...)
	l := tab.Attribute(hit(3*us, a, 1))
	round(tab, 20*us, rs...)
	require.Same(t, l, tab.Attribute(hit(4*us, a, 1)))
	require.Equal(t, comm("exec"), l.Comm)
	require.Equal(t, b, l.Parent)
	s := tab.Stats()
	require.Equal(t, []int{0, 1, 0}, []int{s.Live, s.Exiting, s.Zombie})
	f := end(event.Free, 21*us, a)
	require.Len(t, round(tab, 30*us, f, f).Gone, 2, "both generations")
	require.EqualValues(t, 1, tab.Stats().Evictions)
}

func TestNames(t *testing.T) {
	tab := New(Settings{})
	other := hit(1*us, a, 0)
	other.TID, other.Worker = 77, true // an io worker says nothing about the process
	tab.Complete(1 * us)
	l := tab.Attribute(other)
	require.Equal(t, event.Comm{}, l.Comm)
	require.False(t, l.Worker)
	tab.Attribute(hit(1*us, a, 0))
	require.Equal(t, comm("thread"), l.Comm)
	round(tab, 10*us, exec(5*us, a, 1))
	require.Equal(t, comm("exec"), tab.Attribute(hit(6*us, a, 1)).Comm)
}

func TestSupersededGenerationsGo(t *testing.T) {
	tab := New(Settings{})
	k := 1 * us
	tab.Observe([]event.Lifecycle{fork(k, a, no, 4), exec(k+1, a, 5)})
	tab.Complete(k + settle)
	old := tab.Attribute(hit(k+2, a, 4)) // between the stamp and the count
	require.Empty(t, tab.Evict(k+settle).Gone)
	require.Equal(t, []*Life{old}, round(tab, k+1+settle).Gone)
	require.EqualValues(t, 1, tab.Stats().Superseded)
	// A sample that is later still gets a record of its own, which takes nothing.
	tab.Complete(k + 2*settle)
	again := tab.Attribute(hit(k+2*settle, a, 4))
	require.NotSame(t, old, again)
	require.Equal(t, event.Generation(4), again.Generation)
	for _, r := range tab.Requests(9) {
		require.Equal(t, event.Generation(5), r.Generation)
	}
	require.Len(t, tab.Evict(k+4*settle).Gone, 1)
	require.Len(t, tab.instances[a].lives, 1)
}

func TestZombiesBecomeCheap(t *testing.T) {
	tab := New(Settings{})
	round(tab, 10*us, fork(1*us, a, no, 0))
	answer := saw(11*us, 12*us, a, 0, "x")
	answer.Mappings = []event.Mapping{{Start: 10, End: 20}}
	tab.Answer(answer)
	round(tab, 20*us, end(event.Exit, 15*us, a))
	l := tab.Attribute(hit(16*us, a, 0))
	require.NotNil(t, l.Image(), "exit work needs it")
	require.NotNil(t, l.Memory().Find(10, 16*us), "exit work needs it")
	ev := round(tab, 15*us+linger)
	require.Empty(t, ev.Gone)
	require.Equal(t, uint64(1), tab.Stats().Overdue)
	require.Equal(t, []*Life{l}, ev.Idle)
	require.Equal(t, "x", l.Executable(), "a name is cheap")
	require.Nil(t, l.Memory().Find(10, 16*us))
	require.Equal(t, 1, tab.Stats().Zombie)
	require.Same(t, l, tab.Attribute(hit(16*us+linger, a, 0)))
	require.Equal(t, []*Life{l}, round(tab, 2*linger, end(event.Free, linger+99*us, a)).Gone)
	require.Zero(t, tab.Stats().Zombie)
}

// The kernel may never tell that a process was freed: it is found missing.
func TestAFreeThatNeverCameIsFound(t *testing.T) {
	tab := New(Settings{})
	round(tab, 10*us, fork(1*us, a, no, 0), fork(2*us, b, no, 0), end(event.Exit, 5*us, a), end(event.Exit, 6*us, b))
	round(tab, 10*us+linger)
	require.Equal(t, uint64(2), tab.Stats().Overdue)
	// b is a zombie that nobody reaps.
	tab.Reconcile([]Task{{Proc: b}}, 11*us+linger, 12*us+linger)
	require.Empty(t, round(tab, 12*us+linger-1).Gone, "a sample may still come")
	gone := round(tab, 12*us+linger).Gone
	require.Len(t, gone, 1)
	require.Equal(t, a, gone[0].Proc)
	require.Equal(t, 1, tab.Stats().Zombie)
	require.Equal(t, uint64(1), tab.Stats().Reconciled)
}

// A process may be sampled in its exit after a list of tasks no longer had it.
func TestASampleAfterAReconciliationDoesNotLeak(t *testing.T) {
	tab := New(Settings{})
	round(tab, 10*us, fork(1*us, a, no, 0))
	tab.Reconcile(nil, 11*us, 12*us)
	require.Len(t, round(tab, 13*us).Gone, 1)
	require.Zero(t, tab.Stats().Unannounced)
	require.Equal(t, a, tab.Attribute(hit(13*us, a, 0)).Proc)
	require.Equal(t, uint64(1), tab.Stats().Unannounced, "this asks for another list")
	tab.Reconcile(nil, 20*us, 21*us)
	require.Len(t, round(tab, 22*us).Gone, 1)
	require.Empty(t, tab.instances)
}

// The record of an exit may be lost while the process is still listed: from then
// on its PID may be another's, which /proc's clock may not tell from it.
func TestAnExitThatOnlyTheListShows(t *testing.T) {
	tab := New(Settings{})
	round(tab, 10*us, fork(1*us, a, no, 0), fork(2*us, b, no, 0))
	tab.Attribute(hit(3*us, a, 0))
	tab.Attribute(hit(3*us, b, 0))
	require.Len(t, tab.Requests(9), 2)
	tab.Reconcile([]Task{{Proc: a, Exiting: true}, {Proc: b}}, 20*us, 22*us)
	for _, p := range []event.ProcID{a, b} {
		tab.Answer(saw(15*us, 18*us, p, 0, "x"))
	}
	round(tab, 30*us)
	require.Nil(t, tab.Attribute(hit(12*us, a, 0)).Image())
	require.NotNil(t, tab.Attribute(hit(12*us, b, 0)).Image())
	require.Equal(t, 1, tab.Stats().Exiting)
	require.Len(t, round(tab, 40*us, end(event.Free, 35*us, a)).Gone, 1)
}

func TestMaxProcesses(t *testing.T) {
	tab := New(Settings{MaxProcesses: 2})
	c, d := id(3, 1), id(4, 1)
	round(tab, 10*us, fork(1*us, a, no, 0), fork(2*us, b, no, 0), fork(3*us, c, no, 0))
	require.EqualValues(t, 1, tab.Stats().Refused)
	l := tab.Attribute(hit(4*us, c, 0))
	require.Equal(t, no, l.Proc)
	require.Same(t, l, tab.Attribute(hit(4*us, d, 0)))
	require.Nil(t, l.Image())
	tab.Missed(l, hit(4*us, c, 0))
	require.EqualValues(t, 2, tab.Stats().Overflowed)
	// The first that exited makes room.
	la := tab.Attribute(hit(5*us, a, 0))
	tab.Observe([]event.Lifecycle{end(event.Exit, 11*us, a), end(event.Exit, 12*us, b)})
	tab.Complete(20 * us)
	require.Equal(t, d, tab.Attribute(hit(13*us, d, 0)).Proc)
	require.Equal(t, []*Life{la}, tab.Evict(20*us).Gone)
	require.EqualValues(t, 1, tab.Stats().Forced)
	// It may come back by a sample; its exit is still known.
	tab.Complete(30 * us)
	require.Equal(t, a, tab.Attribute(hit(21*us, a, 0)).Proc)
	for _, r := range tab.Requests(9) {
		require.NotEqual(t, a, r.Proc)
	}
}

// An exec that was refused is not mistaken for the generation before it.
func TestExecWithoutRoom(t *testing.T) {
	tab := New(Settings{MaxProcesses: 1})
	t0 := 9 * settle
	tab.Observe([]event.Lifecycle{fork(t0+1*us, b, no, 0), exec(t0+2*us, a, 1)})
	tab.Complete(t0 + 10*us)
	require.Equal(t, no, tab.Attribute(hit(t0+1*us, a, 0)).Proc)
	tab.Evict(t0 + 10*us)
	tab.Observe([]event.Lifecycle{end(event.Exit, t0+11*us, b), end(event.Free, t0+12*us, b)})
	tab.Complete(t0 + 20*us)
	tab.Evict(t0 + 20*us)
	tab.Attribute(hit(t0+2*us-1, a, 0)) // was held back; only now there is room
	require.Empty(t, tab.Requests(9))
	k := t0 + 20*us + 2*settle
	tab.Complete(k)
	tab.Attribute(hit(k, a, 1))
	require.Equal(t, []Request{{a, 1}}, tab.Requests(9))
}

func TestReconcile(t *testing.T) {
	tab := New(Settings{})
	c := id(3, 1)
	round(tab, 10*us, fork(1*us, a, no, 0), fork(2*us, b, no, 0), end(event.Exit, 3*us, id(9, 9)))
	round(tab, 30*us, fork(25*us, c, no, 0))
	tab.Reconcile([]Task{{Proc: b}}, 20*us, 40*us)
	require.Empty(t, round(tab, 40*us-1).Gone, "samples up to the barrier may come")
	gone := round(tab, 40*us).Gone
	require.Len(t, gone, 1)
	require.Equal(t, a, gone[0].Proc, "b was found, c is younger than the iteration")
	require.EqualValues(t, 1, tab.Stats().Reconciled)
	require.Empty(t, tab.ghosts)
	tab.Reconcile(nil, 50*us, 60*us)
	require.Len(t, round(tab, 70*us, end(event.Free, 55*us, b)).Gone, 2, "an earlier free does no harm")
}
