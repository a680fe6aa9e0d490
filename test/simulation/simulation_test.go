// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package simulation drives the watermark and the heuristic that is in use
// elsewhere with the same streams of records, from simulated hosts of 1 to 512
// CPUs. What it finds is in docs/watermark.md.
package simulation

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/watermark"
)

// result is what both made of one stream.
type result struct {
	stream  *stream
	ours    *completer
	minimum *minimum
}

func play(s scenario, seed uint64) *result {
	st := simulate(s, seed)
	return &result{st, complete(st), minimize(st)}
}

// results are those of the scenarios, in their order, each with its own seed.
var results = sync.OnceValue(func() []*result {
	var rs []*result
	for i, s := range scenarios {
		rs = append(rs, play(s, uint64(i)))
	}
	return rs
})

func TestScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	for _, r := range results() {
		t.Run(r.stream.name, func(t *testing.T) {
			requirePromises(t, r.ours)
			require.Zero(t, r.ours.tally.stuck)
			require.Equal(t, r.stream.breaks, r.stream.breaks&r.minimum.breaches(), "the heuristic got away with it")
		})
	}
}

// Whatever the host, what we promise holds.
func TestAnyHost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chance := rapid.SampledFrom([]oneIn{0, 3, 30, 300})
		s := scenario{
			cpus:   rapid.IntRange(1, 6).Draw(t, "cpus"),
			hz:     rapid.SampledFrom([]int{19, 97, 997, 4999}).Draw(t, "hz"),
			length: 3 * sec,
			idle:   rapid.IntRange(0, 1).Draw(t, "idle"),
			frozen: chance.Draw(t, "frozen"),
			freeze: rapid.SampledFrom([]span{{us, ms}, steal, {ms, 2 * sec}}).Draw(t, "freeze"),
			full:   chance.Draw(t, "full"),
			skew:   rapid.SampledFrom([]event.KTime{us, watermark.Guard}).Draw(t, "skew"),
			grace:  rapid.SampledFrom([]span{{0, 1}, {5 * ms, 16 * ms}}).Draw(t, "grace"),
			life:   span{us, 20 * ms},
			visit:  rapid.SampledFrom([]int{0, 1, 10, 100}).Draw(t, "visit"),

			forkEvery: rapid.SampledFrom([]event.KTime{ms, 20 * ms}).Draw(t, "forks"),
			pids:      rapid.IntRange(1, 8).Draw(t, "pids"),
		}
		requirePromises(t, complete(simulate(s, rapid.Uint64().Draw(t, "seed"))))
	})
}

// requirePromises asserts safety, order, liveness, the price and identity.
func requirePromises(t require.TestingT, c *completer) {
	require.Zero(t, c.tally.late)
	require.Zero(t, c.tally.backward)
	require.LessOrEqual(t, c.tally.lag, c.longestLag())
	require.Zero(t, c.overdue, "rounds did not end")
	require.LessOrEqual(t, c.tally.completions, int(c.stream.length/completionInterval))
	// One per trace would be as many completions as samples. Ours do not depend
	// on their number, so ten in an interval suffice to save nine tenths.
	if perInterval := c.tally.samples / int(c.stream.length/completionInterval); perInterval >= 10 {
		require.LessOrEqual(t, c.tally.completions, c.tally.samples/10)
	}
	require.Zero(t, c.names.wrong)
	if c.stream.skew < watermark.Guard { // else a child's clock may show less than its fork
		require.Zero(t, c.names.forgot)
	}
	require.LessOrEqual(t, c.kept, c.most, "processes that ended are in the table")
}

// longestLag is what liveness allows: a round begins an interval after the last
// one began, or at once if that took longer.
func (c *completer) longestLag() event.KTime {
	round := c.longest.barrier + c.longest.drain
	return max(completionInterval, round) + round + watermark.Guard + 1
}

func (m *minimum) breaches() breach {
	var b breach
	for kind, n := range map[breach]int{
		late: m.tally.late, backward: m.tally.backward, stuck: m.tally.stuck, misnamed: m.names.wrong,
	} {
		if n > 0 {
			b |= kind
		}
	}
	return b
}

// The rounds by which the heuristic was observed where it is in use: each states
// the number behind it, 0 for nothing.
func TestTheHeuristicIsTheOneInUse(t *testing.T) {
	for _, rounds := range [][][2]event.KTime{
		{{11, 0}, {10, 10}},
		{{11, 0}, {12, 11}, {10, 10}, {13, 0}, {14, 13}},
		{{11, 0}, {0, 11}, {0, 0}, {0, 0}},
		{{100, 0}, {200, 100}, {50, 50}, {40, 0}, {300, 40}},
	} {
		var m minimum
		for _, round := range rounds {
			until, _ := m.conclude(round[0])
			require.Equal(t, round[1], until, rounds)
		}
	}
}
