// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package simulation

import (
	"math/rand/v2"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/watermark"
)

const (
	us  = event.KTime(1_000)
	ms  = 1_000 * us
	sec = 1_000 * ms

	// boot is when a simulation starts.
	boot = 100 * sec
)

// span is a range of durations, both ends included.
type span struct{ from, to event.KTime }

func (s span) draw(rnd *rand.Rand) event.KTime {
	return s.from + event.KTime(rnd.Uint64N(uint64(s.to-s.from)+1))
}

// oneIn is a chance; 0 is never.
type oneIn int

func (n oneIn) draw(rnd *rand.Rand) bool { return n > 0 && rnd.IntN(int(n)) == 0 }

// scenario is a host, what happens on it, and what it does to its profiler.
type scenario struct {
	name   string
	cpus   int
	hz     int
	length event.KTime
	// idle CPUs take no samples; awake CPUs do while the host is awake: for
	// awake, then not for asleep.
	idle          int
	awake, asleep event.KTime
	// frozen programs are stolen their CPU in the middle of their run, for freeze.
	frozen oneIn
	freeze span
	// full rings refuse a record.
	full oneIn
	// forkEvery is the mean distance of forks on a CPU, stormEvery in a storm;
	// one lasts for a tenth of the time. life is how long a child then runs.
	forkEvery, stormEvery event.KTime
	life                  span
	// pids is how many PIDs children share.
	pids int
	// skew is how far a CPU's clock may be behind.
	skew event.KTime
	// grace is how long a grace period takes beyond the programs it waits for.
	grace span
	// slow records keep their reader for handling.
	slow     oneIn
	handling span

	// visit is how many records of a ring a round reads at most; 0: all. Ours alone
	// has it, what is left is read a moment later.
	visit int

	// breaks is what the heuristic must show here, or the simulation has no power.
	breaks breach
}

// breach is a set of ways to be wrong.
type breach uint8

const (
	late breach = 1 << iota
	backward
	stuck
	misnamed
)

func (s scenario) orDefaults() scenario {
	orDefault(&s.length, 20*sec)
	orDefault(&s.forkEvery, 500*ms)
	orDefault(&s.stormEvery, s.forkEvery)
	orDefault(&s.life, span{ms, 200 * ms})
	orDefault(&s.pids, 64*s.cpus)
	orDefault(&s.skew, us)
	orDefault(&s.grace, span{5 * ms, 16 * ms})
	return s
}

func orDefault[T comparable](v *T, d T) {
	if *v == *new(T) {
		*v = d
	}
}

// steal is how long a host keeps a virtual CPU from running.
var steal = span{ms, 100 * ms}

var scenarios = []scenario{
	{name: "one CPU", cpus: 1, hz: 997},
	{name: "default rate", cpus: 2, hz: 19},
	{name: "all CPUs idle", cpus: 8, hz: 19, idle: 8, forkEvery: sec},
	{name: "one of 64 CPUs busy", cpus: 64, hz: 19, idle: 63},
	{name: "work for 1 s, idle for 4 s", cpus: 8, hz: 97, awake: sec, asleep: 4 * sec, breaks: stuck},
	{name: "vCPU steal", cpus: 8, hz: 997, frozen: 500, freeze: steal, visit: 100},
	{name: "stalled CPUs", cpus: 8, hz: 97, frozen: 1000, freeze: span{sec, 3 * sec}, breaks: late | backward},
	{name: "lifecycle storms, lost records", cpus: 8, hz: 997, stormEvery: 2 * ms, life: span{100 * us, 5 * ms},
		frozen: 5000, freeze: steal, pids: 64, full: 200, breaks: misnamed},
	{name: "overcommitted host", cpus: 8, hz: 97, frozen: 100, freeze: span{100 * ms, 600 * ms}, breaks: late | backward},
	{name: "slow rounds", cpus: 8, hz: 997, frozen: 500, freeze: steal,
		slow: 10_000, handling: span{240 * ms, 300 * ms}},
	{name: "clocks at the guard", cpus: 2, hz: 4999, frozen: 2000, freeze: steal,
		skew: watermark.Guard, grace: span{0, 100 * us}},
	{name: "PIDs reused at once", cpus: 8, hz: 997, forkEvery: 5 * ms, life: span{ms, 4 * ms}, pids: 16,
		frozen: 5000, freeze: steal, breaks: misnamed},
	{name: "64 CPUs", cpus: 64, hz: 997, length: 5 * sec, frozen: 5000, freeze: steal, breaks: stuck},
	{name: "512 CPUs", cpus: 512, hz: 19, idle: 128, length: 10 * sec, frozen: 1000, freeze: steal},
	{name: "512 CPUs, high rate", cpus: 512, hz: 499, length: 2 * sec, frozen: 500, freeze: steal,
		breaks: late | backward},
}
