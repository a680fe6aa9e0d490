// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

func TestAnswers(t *testing.T) {
	born := fork(1*us, a, no, 1)
	read := saw(50*us, 60*us, a, 1, "x")
	other := read
	other.StartTick++
	unread := read
	unread.Image = nil
	for name, c := range map[string]struct {
		records []event.Lifecycle
		answer  Answer
		gen     event.Generation // asked for afterwards
		want    Outcomes
		exe     string
	}{
		"plain":                {nil, read, 1, Outcomes{Accepted: 1}, "x"},
		"another tick":         {nil, other, 1, Outcomes{RefusedTick: 1}, ""},
		"exit before":          {[]event.Lifecycle{end(event.Exit, 40*us, a)}, read, 1, Outcomes{RefusedExit: 1}, ""},
		"exit during":          {[]event.Lifecycle{end(event.Exit, 60*us, a)}, read, 1, Outcomes{RefusedExit: 1}, ""},
		"exit after":           {[]event.Lifecycle{end(event.Exit, 60*us+1, a)}, read, 1, Outcomes{Accepted: 1}, "x"},
		"exit lost":            {[]event.Lifecycle{end(event.Free, 61*us, a)}, saw(62*us, 63*us, a, 1, "x"), 1, Outcomes{RefusedExit: 1}, ""},
		"exec at the start":    {[]event.Lifecycle{exec(50*us, a, 2)}, read, 1, Outcomes{RefusedExec: 1}, ""},
		"exec at the end":      {[]event.Lifecycle{exec(60*us, a, 2)}, read, 1, Outcomes{RefusedExec: 1}, ""},
		"exec after":           {[]event.Lifecycle{exec(60*us+1, a, 2)}, read, 1, Outcomes{Accepted: 1}, "x"},
		"exec after, new":      {[]event.Lifecycle{exec(60*us+1, a, 2)}, read, 2, Outcomes{Accepted: 1}, ""},
		"exec before":          {[]event.Lifecycle{exec(50*us-1, a, 2)}, read, 2, Outcomes{Accepted: 1}, "x"},
		"exec before, old":     {[]event.Lifecycle{exec(50*us-1, a, 2)}, read, 1, Outcomes{Accepted: 1}, ""},
		"between two":          {[]event.Lifecycle{exec(49*us, a, 2), exec(61*us, a, 3)}, read, 2, Outcomes{Accepted: 1}, "x"},
		"asked for a lost one": {nil, saw(50*us, 60*us, a, 2, "x"), 2, Outcomes{Accepted: 1}, "x"},
		"not the one before":   {nil, saw(50*us, 60*us, a, 2, "x"), 1, Outcomes{Accepted: 1}, ""},
		"unreadable":           {nil, unread, 1, Outcomes{Failed: 1}, ""},
		"gone":                 {nil, Answer{Request: read.Request, From: 50 * us, To: 51 * us, Gone: true}, 1, Outcomes{Gone: 1}, ""},
		"unknown":              {nil, saw(50*us, 60*us, b, 0, "x"), 1, Outcomes{Unknown: 1}, ""},
	} {
		for _, late := range []bool{false, true} {
			tab := New(Settings{})
			tab.Observe(append(c.records, born))
			if !late {
				tab.Answer(c.answer)
			}
			tab.Complete(100 * us)
			if late {
				tab.Answer(c.answer)
				tab.Complete(200 * us)
			}
			require.Equal(t, c.want, tab.Stats().Answers, name)
			require.Equal(t, c.exe, exe(tab, 99*us, a, c.gen), name)
		}
	}
}

// An exec that is only known by a sample may have been any time before it.
func TestExecOfUnknownTime(t *testing.T) {
	tab := New(Settings{})
	round(tab, 10*us, fork(1*us, a, no, 1))
	tab.Complete(100 * us)
	tab.Attribute(hit(90*us, a, 2))
	tab.Answer(saw(50*us, 60*us, a, 1, "?"))
	round(tab, 200*us)
	require.Equal(t, Outcomes{RefusedExec: 1}, tab.Stats().Answers)
	tab.Answer(saw(91*us, 92*us, a, 1, "new"))
	round(tab, 300*us)
	require.Equal(t, "new", exe(tab, 95*us, a, 2))
	// And a stray in between spoils what was read then.
	round(tab, 400*us, exec(350*us, a, 4))
	tab.Attribute(hit(340*us, a, 3))
	tab.Answer(saw(330*us, 331*us, a, 2, "?"))
	tab.Answer(saw(345*us, 346*us, a, 2, "?"))
	tab.Complete(401 * us)
	require.EqualValues(t, 3, tab.Stats().Answers.RefusedExec)
	require.Empty(t, exe(tab, 340*us, a, 3))
}

// A life is read more than once, but what is wrong with its variables is counted once, as it
// is for a fork that is read on its own, and for the next program of the process.
func TestMalformedVariablesAreCountedOncePerLife(t *testing.T) {
	tab := New(Settings{})
	malformed := func(from event.KTime, p event.ProcID, g event.Generation) uint64 {
		answer := saw(from, from+us, p, g, "x")
		answer.Malformed = 1
		tab.Answer(answer)
		round(tab, from+2*us)
		return tab.Stats().VariablesMalformed
	}
	round(tab, 5*us, fork(1*us, a, no, 1), fork(2*us, b, a, 1))
	require.EqualValues(t, 1, malformed(10*us, a, 1))
	require.EqualValues(t, 1, malformed(20*us, a, 1), "the same life again")
	require.EqualValues(t, 1, malformed(15*us, a, 1), "what is known is newer")
	require.EqualValues(t, 2, malformed(30*us, b, 1), "a fork has what its parent has until it is read")
	require.EqualValues(t, 2, malformed(40*us, b, 1), "the fork again")
	round(tab, 50*us, exec(49*us, a, 2))
	require.EqualValues(t, 3, malformed(60*us, a, 2), "another program")
	require.EqualValues(t, 6, tab.Stats().Answers.Accepted)
}

// Generations are counted one by one: a gap shows that a record was lost, and the
// read may have been of the one that was never seen.
func TestGenerationNeverSeen(t *testing.T) {
	tab := New(Settings{})
	round(tab, 100*us, fork(1*us, a, no, 1), exec(61*us, a, 3))
	tab.Answer(saw(50*us, 60*us, a, 1, "?"))
	tab.Complete(101 * us)
	require.Equal(t, Outcomes{RefusedExec: 1}, tab.Stats().Answers)
}

func TestAnswerWaitsForItsCompletion(t *testing.T) {
	tab := New(Settings{})
	tab.Observe([]event.Lifecycle{fork(1*us, a, no, 0)})
	tab.Answer(saw(50*us, 60*us, a, 0, "x"))
	tab.Complete(60*us - 1)
	require.Empty(t, exe(tab, 2*us, a, 0))
	tab.Complete(60 * us)
	require.Equal(t, "x", exe(tab, 2*us, a, 0))
}

func TestExpectAsksOnce(t *testing.T) {
	tab := New(Settings{})
	tab.Expect(hit(5*us, a, 1))
	tab.Expect(hit(6*us, a, 1))
	require.Equal(t, []Request{{a, 1}}, tab.Requests(9))
	tab.Expect(hit(7*us, a, 1))
	require.Empty(t, tab.Requests(9), "it is on its way")
	tab.Expect(hit(8*us, a, 2))
	require.Equal(t, []Request{{a, 2}}, tab.Requests(9), "a new generation cannot wait for it")
	tab.Answer(saw(9*us, 10*us, a, 2, "x"))
	tab.Observe([]event.Lifecycle{exec(7*us+1, a, 2)})
	tab.Complete(20 * us)
	tab.Expect(hit(30*us, a, 2))
	require.Empty(t, tab.Requests(9), "it is known")
	w := hit(30*us, b, 0)
	w.Worker = true
	tab.Expect(w)
	require.Empty(t, tab.Requests(9), "there is nothing to read")
}

func TestRetriesAreBounded(t *testing.T) {
	tab := New(Settings{})
	round(tab, 10*us, fork(1*us, a, no, 1))
	k := 20 * us
	n := 0
	for range 20 {
		tab.Expect(hit(k, a, 1))
		for _, r := range tab.Requests(9) {
			n++
			tab.Answer(Answer{Request: r, From: k, To: k + 1})
		}
		k += 10
		round(tab, k)
	}
	require.Equal(t, maxTries, n)
	require.EqualValues(t, maxTries, tab.Stats().Answers.RefusedTick)
	round(tab, k+us, exec(k+1, a, 2))
	tab.Expect(hit(k+2, a, 2))
	require.Len(t, tab.Requests(9), 1, "a new generation is a new chance")
}

func TestMissedIsRateLimited(t *testing.T) {
	tab := New(Settings{ReadInterval: 100 * us})
	tab.Observe([]event.Lifecycle{fork(1*us, a, no, 0)})
	tab.Answer(saw(50*us, 60*us, a, 0, "x"))
	tab.Complete(70 * us)
	l := tab.Attribute(hit(2*us, a, 0))
	tab.Missed(l, hit(40*us, a, 0))
	require.Empty(t, tab.Requests(9), "it has been read since")
	k := 60 * us
	n := 0
	for range 1000 {
		k += us
		tab.Complete(k + 1)
		tab.Missed(tab.Attribute(hit(k, a, 0)), hit(k, a, 0))
		for range tab.Requests(9) {
			n++
			tab.Answer(saw(k, k+1, a, 0, "y"))
		}
	}
	require.Equal(t, 10, n)
	require.Equal(t, "y", exe(tab, k, a, 0))
}

func TestForksInherit(t *testing.T) {
	tab := New(Settings{})
	c, d := id(3, 1), id(4, 1)
	tab.Observe([]event.Lifecycle{fork(1*us, a, no, 0), fork(20*us, b, a, 0), fork(40*us, c, a, 0), fork(50*us, d, b, 0)})
	tab.Answer(saw(30*us, 35*us, a, 0, "x"))
	round(tab, 100*us)
	require.Equal(t, "x", exe(tab, 90*us, c, 0), "read before the fork")
	require.Empty(t, exe(tab, 90*us, b, 0), "read after it")
	require.Equal(t, "x", tab.Attribute(hit(90*us, b, 0)).Executable(), "but the file is the same")
	require.Empty(t, exe(tab, 90*us, d, 0), "a fork of one that had parted before")
	tab.Answer(saw(60*us, 65*us, a, 0, "again"))
	tab.Answer(saw(60*us, 65*us, b, 0, "own"))
	round(tab, 200*us, end(event.Exit, 150*us, a), end(event.Free, 160*us, a))
	require.Equal(t, "own", exe(tab, 190*us, b, 0))
	require.Equal(t, "x", exe(tab, 190*us, c, 0), "as of the fork, and the parent is gone")
}

func TestScan(t *testing.T) {
	tab := New(Settings{})
	k, z := id(3, 1), id(4, 1)
	require.True(t, tab.Scan([]Task{{Proc: a, Generation: 7, Comm: comm("a")}, {Proc: b}, {Proc: k, Worker: true}, {Proc: z, Exiting: true}}, 5*us, 9*us))
	require.Equal(t, []Request{{a, 7}}, tab.Requests(1))
	require.Equal(t, []Request{{b, 0}}, tab.Requests(9), "nothing to read of a worker or a zombie")
	tab.Answer(saw(10*us, 11*us, a, 7, "x"))
	tab.Answer(saw(12*us, 13*us, b, 0, "y"))
	gone := round(tab, 20*us, exec(12*us, a, 8), end(event.Free, 15*us, b)).Gone
	require.Len(t, gone, 1, "records come on top")
	require.Equal(t, comm("a"), tab.Attribute(hit(8*us, a, 7)).Comm)
	require.Equal(t, "x", exe(tab, 8*us, a, 7))
	require.Equal(t, comm("exec"), tab.Attribute(hit(14*us, a, 8)).Comm)
	require.True(t, tab.Attribute(hit(14*us, k, 0)).Worker)
	require.False(t, tab.Scan([]Task{{Proc: b}}, 20*us, 21*us), "too late to be sure")
	require.NotContains(t, tab.instances, b)
}

func TestQueuesAreBounded(t *testing.T) {
	tab := New(Settings{MaxRequests: 2, MaxRecords: 3})
	for i := range uint32(5) {
		tab.Expect(hit(us, id(i, 1), 0))
		tab.Observe([]event.Lifecycle{end(event.Exit, us, id(i, 1)), end(event.Free, us, id(i, 1))})
	}
	require.EqualValues(t, 3, tab.Stats().RequestsDropped)
	require.EqualValues(t, 7, tab.Stats().RecordsDropped)
	require.Len(t, tab.Requests(9), 2)
	tab.Expect(hit(us, id(4, 1), 0))
	require.Len(t, tab.Requests(9), 1, "asked for again")
}

func TestFind(t *testing.T) {
	m := &memory{}
	m.take([]event.Mapping{{Start: 10, End: 20}, {Start: 20, End: 30}, {Start: 40, End: 50}}, 50, 7, 8, 0)
	for addr, want := range map[uint64]uint64{9: 0, 10: 10, 19: 10, 20: 20, 30: 0, 39: 0, 40: 40, 49: 40, 50: 0} {
		found := m.find(addr, 5)
		require.Equal(t, want != 0, found != nil, addr)
		if found != nil {
			require.Equal(t, want, found.Start)
		}
	}
	require.Nil(t, (*memory)(nil).find(1, 1))
}
