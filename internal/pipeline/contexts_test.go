// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/service"
)

const seconds event.KTime = 1_000_000_000

// living is a life in a table, of which everything up to 1000 s is covered.
func living(t *testing.T) *process.Life {
	t.Helper()
	proc := event.ProcID{PID: 7, Start: 5e9}
	table := process.New(process.Settings{})
	require.True(t, table.Scan([]process.Task{{Proc: proc, Generation: 1}}, 1, 2))
	table.Complete(1000 * seconds)
	return table.Attribute(&event.Sample{Proc: proc, Generation: 1, KTime: 10, TID: 7})
}

// asks returns at which of the times, one a second, a look is asked for, which answer answers.
func (c *contexts) asks(life *process.Life, until event.KTime, answer func(*ContextAnswer)) (at []event.KTime) {
	for k := 10 * seconds; k < until; k += seconds {
		c.sampled(life, k)
		for _, r := range c.requests(10) {
			at = append(at, k/seconds-10)
			a := ContextAnswer{ContextRequest: r, To: k, StartTick: 500, Outcome: ContextAbsent}
			answer(&a)
			c.answers = append(c.answers, a)
			c.complete(k)
		}
	}
	return at
}

func TestContextsAreLookedForMoreAndMoreSeldom(t *testing.T) {
	c, life := newContexts(true), living(t)
	require.Equal(t, []event.KTime{0, 1, 3, 7, 15, 31, 63, 127, 191, 255},
		c.asks(life, 300*seconds, func(*ContextAnswer) {}))
	require.EqualValues(t, 10, c.stats[ContextAbsent])
}

func TestAContextThatIsReadIsFollowed(t *testing.T) {
	c, life := newContexts(true), living(t)
	till := service.Service{Name: "till"}
	n := 0
	at := c.asks(life, 60*seconds, func(a *ContextAnswer) {
		if n++; n == 4 {
			require.Zero(t, a.ContextRequest.Published)
			a.Outcome, a.Published, a.Service = ContextRead, 77, till
		}
		if n > 4 {
			require.EqualValues(t, 77, a.ContextRequest.Published)
			a.Outcome = ContextUnchanged
		}
	})
	require.Equal(t, []event.KTime{0, 1, 3, 7, 8, 10, 14, 22, 38}, at)
	require.Equal(t, till, c.of(life))
	c.forget([]*process.Life{life})
	require.Zero(t, c.of(life))
	require.Empty(t, c.lives)
}

func TestContextsOfOthersAreRefused(t *testing.T) {
	for name, change := range map[string]func(*ContextAnswer, *contexts){
		"another start": func(a *ContextAnswer, _ *contexts) { a.StartTick = 501 },
		"forgotten":     func(a *ContextAnswer, c *contexts) { c.forget([]*process.Life{a.life}) },
	} {
		c, life := newContexts(true), living(t)
		c.sampled(life, 10*seconds)
		a := ContextAnswer{ContextRequest: c.requests(1)[0], To: 11 * seconds, StartTick: 500, Service: service.Service{Name: "x"}}
		change(&a, c)
		c.answers = append(c.answers, a)
		c.complete(10 * seconds)
		require.Zero(t, c.stats, "not covered yet")
		c.complete(11 * seconds)
		require.EqualValues(t, 1, c.stats[ContextRefused], name)
		require.Zero(t, c.of(life), name)
	}
}

func TestContextsAreNotAskedFor(t *testing.T) {
	off, life := newContexts(false), living(t)
	off.sampled(life, 10*seconds)
	require.Empty(t, off.requests(1))
	on := newContexts(true)
	on.sampled(&process.Life{Worker: true}, 10*seconds)
	on.sampled(&process.Life{}, 10*seconds) // of nobody
	require.Empty(t, on.requests(1))
	on.queue = make([]ContextRequest, maxContextRequests)
	on.sampled(life, 10*seconds)
	require.Len(t, on.queue, maxContextRequests)
	on.queue = nil
	on.sampled(life, 10*seconds)
	require.Len(t, on.requests(2), 1, "with the next sample")
}
