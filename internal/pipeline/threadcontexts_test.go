// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/threadlocal"
)

// mapping is a life that has mapped something, in its table.
func mapping(t *testing.T) (*process.Table, *process.Life) {
	t.Helper()
	proc := event.ProcID{PID: 7, Start: 5e9}
	table := process.New(process.Settings{})
	table.Observe([]event.Lifecycle{{Kind: event.Fork, KTime: 1, Proc: proc}, {Kind: event.Exec, KTime: 2, Proc: proc, Generation: 1}})
	table.ObserveMapped([]event.Mapped{{KTime: 3, PID: 7, Mapping: event.Mapping{Start: 0x1000, End: 0x2000, Path: "/x"}}})
	table.Complete(100 * seconds)
	life := table.Attribute(&event.Sample{Proc: proc, Generation: 1, KTime: 10, TID: 7})
	require.NotZero(t, life.Version())
	return table, life
}

var (
	somewhere = []found{{}} // a variable whose slot the dynamic linker fills
	static    = threadlocal.Place{Static: true, Offset: -64}
)

// answer is the answer to the only request.
func (c *threadContexts) answer(t *testing.T, change func(*ThreadContextAnswer)) {
	t.Helper()
	requests := c.requests(9)
	require.Len(t, requests, 1)
	a := ThreadContextAnswer{ThreadContextRequest: requests[0], To: 20 * seconds, StartTick: 500, Place: static}
	change(&a)
	c.answers = append(c.answers, a)
}

func TestThePlaceOfThreadContexts(t *testing.T) {
	_, life := mapping(t)
	c := newThreadContexts()
	require.Zero(t, c.place(life, somewhere), "not known yet")
	require.Zero(t, c.place(life, somewhere))
	c.answer(t, func(*ThreadContextAnswer) {})
	var changed []*process.Life
	note := func(l *process.Life) { changed = append(changed, l) }
	c.complete(20*seconds-1, note)
	require.Empty(t, changed, "not covered: it may be of the next process with the PID")
	c.complete(20*seconds, note)
	require.Equal(t, []*process.Life{life}, changed)
	require.Equal(t, static, c.place(life, somewhere))
	require.Empty(t, c.requests(9), "the memory has not changed")
	require.Zero(t, c.place(life, nil), "the file is not mapped any more")
	require.Empty(t, c.known)
}

func TestPlacesOfOthersAreRefused(t *testing.T) {
	proc := event.ProcID{PID: 7, Start: 5e9}
	for name, change := range map[string]func(*ThreadContextAnswer, *process.Table, *threadContexts){
		"another start": func(a *ThreadContextAnswer, _ *process.Table, _ *threadContexts) { a.StartTick = 501 },
		"an exec before the read": func(_ *ThreadContextAnswer, table *process.Table, _ *threadContexts) {
			table.Observe([]event.Lifecycle{{Kind: event.Exec, KTime: 15 * seconds, Proc: proc, Generation: 2}})
			table.Complete(110 * seconds)
		},
		"an exit before the read": func(_ *ThreadContextAnswer, table *process.Table, _ *threadContexts) {
			table.Observe([]event.Lifecycle{{Kind: event.Exit, KTime: 15 * seconds, Proc: proc, Generation: 1}})
			table.Complete(110 * seconds)
		},
		"forgotten": func(a *ThreadContextAnswer, _ *process.Table, c *threadContexts) { c.forget([]*process.Life{a.life}) },
		"another variable": func(a *ThreadContextAnswer, _ *process.Table, c *threadContexts) {
			c.place(a.life, []found{{bias: 1}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			table, life := mapping(t)
			c := newThreadContexts()
			c.place(life, somewhere)
			c.answer(t, func(a *ThreadContextAnswer) { change(a, table, &c) })
			c.complete(100*seconds, func(*process.Life) { t.Error("believed") })
			if k := c.known[life]; k != nil {
				require.Zero(t, k.place)
			}
		})
	}
}

// A program that has not come to its variable is asked again, each time later, and not for
// ever.
func TestPlacesAreAskedForAgain(t *testing.T) {
	_, life := mapping(t)
	c := newThreadContexts()
	c.place(life, somewhere)
	var at []event.KTime
	for now := 20 * seconds; now < 90*seconds; now += seconds / 10 {
		for _, r := range c.requests(9) {
			at = append(at, now)
			c.answers = append(c.answers, ThreadContextAnswer{ThreadContextRequest: r, To: now, StartTick: 500})
		}
		c.complete(now, func(*process.Life) { t.Error("nothing was found") })
	}
	require.Len(t, at, maxThreadContextTries)
	for i := 2; i < len(at); i++ {
		require.Greater(t, at[i]-at[i-1], at[i-1]-at[i-2])
	}
	require.EqualValues(t, 1, c.stats().Unresolved)
	c.known[life].tries = 0 // as when something is mapped
	c.ask(life, c.known[life])
	for now := 90 * seconds; now < 160*seconds; now += seconds / 10 {
		for _, r := range c.requests(9) {
			c.answers = append(c.answers, ThreadContextAnswer{ThreadContextRequest: r, To: now, StartTick: 500})
		}
		c.complete(now, func(*process.Life) { t.Error("nothing was found") })
	}
	require.Equal(t, maxThreadContextTries, c.known[life].tries)
	require.EqualValues(t, 1, c.stats().Unresolved, "a process counts once")
	c.forget([]*process.Life{life})
	require.Empty(t, c.known)
}

func TestRequestsForPlacesAreBounded(t *testing.T) {
	_, life := mapping(t)
	c := newThreadContexts()
	c.queue = make([]ThreadContextRequest, maxThreadContextRequests)
	c.place(life, somewhere)
	require.Len(t, c.queue, maxThreadContextRequests)
	c.queue = nil
	c.complete(seconds, nil)
	require.Len(t, c.requests(9), 1, "it is made up for")
}
