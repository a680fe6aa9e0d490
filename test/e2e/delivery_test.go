// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
)

const (
	overGRPC, overHTTP = "ebpf_profiler/grpc", "ebpf_profiler/http"
	// deliveryRate and deliveryCompletion are what delivery.yaml says.
	deliveryRate       = 997
	deliveryCompletion = 500 * time.Millisecond
)

// delivery is a collector with two receivers, each of which has a backend.
type delivery struct {
	*collector
	backends map[string]*backend
}

func deliver(t *testing.T, grpc, http answer) *delivery {
	t.Helper()
	backends := map[string]*backend{overGRPC: grpcBackend(t, grpc), overHTTP: httpBackend(t, http)}
	return &delivery{start(t, "delivery.yaml",
		"GRPC_ENDPOINT="+backends[overGRPC].endpoint, "HTTP_ENDPOINT="+backends[overHTTP].endpoint), backends}
}

// interval is what the collector told of itself at its ends.
type interval struct {
	early, late scrape
	elapsed     time.Duration
}

// watch checks what no consumer may disturb: completions at their rate, ledgers
// that close, memory that does not grow.
func (d *delivery) watch(t *testing.T, length time.Duration) interval {
	t.Helper()
	const maxGrowth, maxMemory = 30 << 20, 240 << 20 // of two receivers in one collector
	early, used, began := d.scrape(), d.memory(), time.Now()
	time.Sleep(length)
	i := interval{early, d.scrape(), time.Since(began)}
	assert.Less(t, d.growth(used, maxGrowth, length), maxGrowth, "memory grows")
	assert.Less(t, d.memory(), maxMemory)
	for id := range d.backends {
		i.early.ledger(t, id).requireClosed(t)
		i.late.ledger(t, id).requireClosed(t)
		assert.InDelta(t, i.elapsed.Seconds()/deliveryCompletion.Seconds(), i.grown(t, id, "completions"), 2, id)
		assert.Zero(t, i.late.sum(t, id, own("late_records")), id)
		assert.Zero(t, i.late.sum(t, id, own("completions_replaced")), id)
	}
	return i
}

func (i interval) grown(t *testing.T, id, name string, labels ...string) float64 {
	t.Helper()
	return i.late.sum(t, id, own(name), labels...) - i.early.sum(t, id, own(name), labels...)
}

// lost is how many samples were lost for a reason.
func (i interval) lost(t *testing.T, id, reason string) float64 {
	t.Helper()
	return i.grown(t, id, "samples_lost", "reason", reason)
}

// seconds is how many samples two busy CPUs have in that time.
func seconds(n float64) float64 { return n * deliveryRate * 2 }

// farewell is the last that a receiver says.
type farewell struct {
	ID        string           `json:"otelcol.component.id"`
	Taken     int64            `json:"samples_taken"`
	Delivered int64            `json:"samples_delivered"`
	Filtered  map[string]int64 `json:"samples_filtered"`
	Lost      map[string]int64 `json:"samples_lost"`
}

// gap is how many samples the farewell does not account for.
func (f farewell) gap() int64 {
	gap := f.Taken - f.Delivered
	for _, n := range f.Filtered {
		gap -= n
	}
	for _, n := range f.Lost {
		gap -= n
	}
	return gap
}

// end stops the collector and returns what each receiver says then, which has to
// account for every sample. The listener has heard that all is done.
func (d *delivery) end(t *testing.T) map[string]farewell {
	t.Helper()
	stopped := monotonic(t)
	d.stop()
	completions := readCompletions(t, d.file("completions"))
	said := farewells(t, string(d.log()))
	for id := range d.backends {
		heard := completions[id]
		require.NotEmpty(t, heard, id)
		for i := 1; i < len(heard); i++ {
			require.Greater(t, heard[i], heard[i-1], "completion %d of %s", i, id)
		}
		assert.GreaterOrEqual(t, heard[len(heard)-1], stopped, "the last completion of %s", id)

		f := said[id]
		t.Logf("%+v", f)
		require.Positive(t, f.Taken, "%s said nothing at the end", id)
		assert.Zero(t, f.gap(), "%s does not account for all samples", id)
		assert.Equal(t, d.backends[id].accepted.Load(), f.Delivered, id)
	}
	return said
}

func farewells(t testing.TB, log string) map[string]farewell {
	t.Helper()
	out := map[string]farewell{}
	for line := range strings.Lines(log) {
		if _, said, found := strings.Cut(line, "Stopped profiling this host"); found {
			var f farewell
			require.NoError(t, json.Unmarshal([]byte(said[strings.IndexByte(said, '{'):]), &f), line)
			out[f.ID] = f
		}
	}
	return out
}

// Whatever the backend does, the profiler goes on, counts what it loses and ends
// in time.
func TestDelivery(t *testing.T) {
	burnAll(t)
	t.Run("refused for good", refusedForGood)
	t.Run("refused for a while", refusedForAWhile)
	t.Run("blocked", blocked)
	t.Run("slow", slow)
}

func refusedForGood(t *testing.T) {
	d := deliver(t, always(codes.InvalidArgument), always(codes.InvalidArgument))
	d.settle()
	seen := d.watch(t, 3*time.Second)
	for id := range d.backends {
		assert.Greater(t, seen.lost(t, id, "consumer_permanent"), seconds(1.5), id)
		assert.Equal(t, seen.late.ledger(t, id).Lost, seen.late.sum(t, id, own("samples_lost"), "reason", "consumer_permanent"), id)
		assert.Less(t, seen.late.ledger(t, id).InFlight, seconds(2.5), id)
	}
	for id, f := range d.end(t) {
		assert.Equal(t, map[string]int64{"consumer_permanent": d.backends[id].offered.Load()}, f.Lost,
			"%s: every window is offered once, the last one too", id)
	}
}

func refusedForAWhile(t *testing.T) {
	d := deliver(t, always(codes.Unavailable), always(codes.Unavailable))
	d.settle()
	refused := d.watch(t, 2500*time.Millisecond)
	for id, b := range d.backends {
		assert.Greater(t, refused.lost(t, id, "consumer_retry"), seconds(1), id)
		assert.Zero(t, refused.late.ledger(t, id).Delivered, id)
		assert.Greater(t, b.calls.Load(), int64(5), "%s: windows are offered again", id)
		accepts := always(codes.OK)
		b.answer.Store(&accepts)
	}
	time.Sleep(1500 * time.Millisecond)
	recovered := d.watch(t, 2500*time.Millisecond)
	for id := range d.backends {
		assert.Greater(t, recovered.grown(t, id, "samples_delivered"), seconds(1), id)
		assert.Zero(t, recovered.grown(t, id, "samples_lost"), id)
	}
	for id, f := range d.end(t) {
		assert.Len(t, f.Lost, 1, id)
		assert.Positive(t, f.Lost["consumer_retry"], id)
	}
}

// A backend that takes messages and never answers costs its own receiver all
// windows, and others nothing.
func blocked(t *testing.T) {
	const stuck, sound = overGRPC, overHTTP
	d := deliver(t, never, always(codes.OK))
	d.settle()
	seen := d.watch(t, 4*time.Second)
	assert.Greater(t, seen.lost(t, stuck, "consumer_slow"), seconds(1.5))
	// What the backend does not have: a window that waits, one that fills, and half a second
	// that is not complete.
	kept := seen.late.ledger(t, stuck).InFlight - float64(d.backends[stuck].offered.Load())
	t.Logf("%.2f s of samples are kept", kept/seconds(1))
	assert.Less(t, kept, seconds(2.7))
	assert.Zero(t, seen.late.ledger(t, sound).Lost)

	said := d.end(t)
	assert.Equal(t, int64(1), d.backends[stuck].calls.Load(), "no call begins while one is stuck, nor after it")
	assert.Len(t, said[stuck].Lost, 2)
	assert.Positive(t, said[stuck].Lost["consumer_slow"])
	assert.Positive(t, said[stuck].Lost["shutdown"])
	assert.Empty(t, said[sound].Lost)
}

// A backend that takes longer than a window costs whole windows; one that does
// not costs nothing.
func slow(t *testing.T) {
	const tooSlow, slowButInTime = overGRPC, overHTTP
	d := deliver(t, after(1400*time.Millisecond), after(700*time.Millisecond))
	d.settle()
	seen := d.watch(t, 6*time.Second)
	assert.Greater(t, seen.lost(t, tooSlow, "consumer_slow"), seconds(0.5))
	assert.Greater(t, seen.grown(t, tooSlow, "samples_delivered"), seconds(2))
	assert.Zero(t, seen.late.ledger(t, slowButInTime).Lost)
	said := d.end(t)
	assert.Len(t, said[tooSlow].Lost, 1)
	assert.Empty(t, said[slowButInTime].Lost)
}
