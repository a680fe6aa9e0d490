// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package watermark

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

const ms = event.KTime(1_000_000)

func TestNothingIsCompleteBeforeABarrier(t *testing.T) {
	w := New(2, Guard)
	w.Drained(0, 100)
	w.Drained(1, 100)
	_, ok := w.Complete()
	require.False(t, ok)
}

func TestEveryBufferHoldsTheWatermark(t *testing.T) {
	w := New(2, Guard)
	w.Barrier(10*ms, []uint64{64, 0})
	w.Drained(1, 0)
	_, ok := w.Complete()
	require.False(t, ok, "buffer 0 is not at its head")
	w.Drained(0, 56)
	_, ok = w.Complete()
	require.False(t, ok, "a busy record holds buffer 0")
	w.Drained(0, 64)
	until, ok := w.Complete()
	require.True(t, ok)
	require.Equal(t, 9*ms-1, until)
	require.False(t, w.Open())
}

func TestAnIdleHostMovesOn(t *testing.T) {
	w := New(1, Guard)
	var last event.KTime
	for round := event.KTime(1); round <= 5; round++ {
		w.Barrier(round*500*ms, []uint64{0})
		w.Drained(0, 0)
		until, ok := w.Complete()
		require.True(t, ok)
		require.Greater(t, until, last)
		last = until
	}
}

// A program that starts when t0 has been read is not waited for, and its clock may
// be behind by the guard.
func TestTheGuardCoversAClockThatIsBehind(t *testing.T) {
	w := New(1, Guard)
	w.Barrier(10*ms, []uint64{0})
	w.Drained(0, 0)
	until, _ := w.Complete()
	require.Less(t, until, 10*ms-Guard)
}

func TestAnEarlierBarrierDoesNotStepBack(t *testing.T) {
	w := New(1, Guard)
	w.Barrier(20*ms, []uint64{0})
	w.Drained(0, 0)
	first, _ := w.Complete()
	w.Barrier(10*ms, []uint64{0})
	w.Drained(0, 0)
	until, ok := w.Complete()
	require.False(t, ok)
	require.Equal(t, first, until)
}

// host simulates CPUs with nested programs that stamp when they start, reserve
// in their CPU's buffer some time later and commit later still.
type host struct {
	now  event.KTime
	cpus []simCPU
}

type simCPU struct {
	running []*program
	buffer  []*program // in reservation order
	read    int
}

type program struct {
	stamp               event.KTime
	stamped, reserved   bool
	committed, finished bool
	start               event.KTime
}

// step lets one program somewhere take its next step. Only the innermost program
// of a CPU runs.
func (h *host) step(t *rapid.T) {
	h.now += event.KTime(rapid.IntRange(1, 400_000).Draw(t, "ns"))
	c := &h.cpus[rapid.IntRange(0, len(h.cpus)-1).Draw(t, "cpu")]
	if len(c.running) == 0 || len(c.running) < 3 && rapid.Bool().Draw(t, "nest") {
		c.running = append(c.running, &program{start: h.now})
		return
	}
	p := c.running[len(c.running)-1]
	switch {
	case !p.stamped:
		p.stamped, p.stamp = true, h.now
	case !p.reserved && rapid.IntRange(0, 9).Draw(t, "drop") == 0:
		p.finished = true
	case !p.reserved:
		p.reserved = true
		c.buffer = append(c.buffer, p)
	case !p.committed:
		p.committed = true
	default:
		p.finished = true
	}
	if p.finished {
		c.running = c.running[:len(c.running)-1]
	}
}

// runningSince reports whether a program that started by t0 is still running.
func (h *host) runningSince(t0 event.KTime) bool {
	for _, c := range h.cpus {
		for _, p := range c.running {
			if p.start <= t0 {
				return true
			}
		}
	}
	return false
}

// drain reads a buffer up to its first record that is not committed.
func (c *simCPU) drain(until event.KTime) (late int) {
	for c.read < len(c.buffer) && c.buffer[c.read].committed {
		if c.buffer[c.read].stamp <= until {
			late++
		}
		c.read++
	}
	return late
}

func TestNoRecordIsLate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &host{now: 100 * ms, cpus: make([]simCPU, rapid.IntRange(1, 4).Draw(t, "cpus"))}
		w := New(len(h.cpus), Guard)
		var until event.KTime
		heads := make([]uint64, len(h.cpus))
		for range rapid.IntRange(1, 8).Draw(t, "rounds") {
			t0 := h.now
			for h.runningSince(t0) {
				h.step(t)
			}
			for i := range h.cpus {
				heads[i] = uint64(len(h.cpus[i].buffer))
			}
			w.Barrier(t0, heads)
			for w.Open() {
				h.step(t)
				for i := range h.cpus {
					if late := h.cpus[i].drain(until); late > 0 {
						t.Fatalf("%d records at or before %d came after its completion", late, until)
					}
					w.Drained(i, uint64(h.cpus[i].read))
				}
				next, ok := w.Complete()
				if ok && next <= until {
					t.Fatalf("watermark went from %d to %d", until, next)
				}
				until = next
			}
		}
	})
}

func BenchmarkRound(b *testing.B) {
	for _, buffers := range []int{2, 64, 512} {
		b.Run(strconv.Itoa(buffers)+"_buffers", func(b *testing.B) {
			w := New(buffers, Guard)
			heads := make([]uint64, buffers)
			b.ReportAllocs()
			for i := range b.N {
				w.Barrier(event.KTime(i+2)*ms, heads)
				for buffer := range buffers {
					w.Drained(buffer, 0)
				}
				w.Complete()
			}
		})
	}
}
