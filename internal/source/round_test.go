// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/watermark"
)

// rounds runs what a round does behind the barrier, over rings in memory.
type rounds struct {
	kernel    *Kernel
	producers []*producer
	mark      *watermark.Watermark
	heads     []uint64
	batch     event.Batch
	t0        event.KTime
	records   uint64
}

// newRounds fills each ring with samples of 50 frames, as far as they fit.
func newRounds(rings int, full bool) *rounds {
	r := &rounds{kernel: &Kernel{}, mark: watermark.New(rings, watermark.Guard), heads: make([]uint64, rings)}
	wire := bpf.ProfilerWireSample{Head: head(bpf.ProfilerWireKindKIND_SAMPLE), KernelFrames: 10, UserFrames: 40}
	record := bytesOf(&wire, uintptr(sampleSize)+400)
	for id := range rings {
		p := newProducer(16 << 10)
		for full {
			at, ok := p.reserve(len(record))
			if !ok {
				break
			}
			p.commit(at, record, false)
			r.records++
		}
		r.producers = append(r.producers, p)
		r.kernel.cpus = append(r.kernel.cpus, &cpu{id: id, buffer: &buffer{cpu: uint32(id), reader: p.ring}})
		r.kernel.outlets = append(r.kernel.outlets, r.kernel.cpus[id].buffer)
	}
	return r
}

// round drains every ring to its head and completes. Batches that are full are
// handed on, which here means forgotten.
func (r *rounds) round() bool {
	r.t0 += watermark.Guard + 2
	r.batch.Reset()
	r.kernel.Heads(r.heads)
	r.mark.Barrier(r.t0, r.heads)
	for i := range r.heads {
		position, more := r.kernel.Drain(i, r.heads[i], &r.batch)
		for more {
			r.batch.Reset()
			position, more = r.kernel.Drain(i, r.heads[i], &r.batch)
		}
		r.mark.Drained(i, position)
	}
	_, completed := r.mark.Complete()
	return completed
}

// refill makes the same records unread again.
func (r *rounds) refill() {
	for _, p := range r.producers {
		atomic.StoreUint64(&p.tail, 0)
	}
}

func TestARoundDoesNotAllocate(t *testing.T) {
	for _, full := range []bool{false, true} {
		r := newRounds(64, full)
		require.Zero(t, testing.AllocsPerRun(20, func() {
			r.refill()
			require.True(t, r.round())
		}))
		drained := uint64(0)
		for _, c := range r.kernel.cpus {
			drained += c.buffer.drained
		}
		require.Equal(t, 21*r.records, drained, "AllocsPerRun runs it once more")
		require.Equal(t, full, r.records > 0)
	}
}

func BenchmarkRound(b *testing.B) {
	for _, rings := range []int{2, 64, 512} {
		b.Run(fmt.Sprintf("%d_rings_empty", rings), func(b *testing.B) {
			r := newRounds(rings, false)
			r.round()
			b.ReportAllocs()
			for b.Loop() {
				r.round()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rings), "ns/ring")
		})
		b.Run(fmt.Sprintf("%d_rings_full", rings), func(b *testing.B) {
			r := newRounds(rings, true)
			r.round()
			b.ReportAllocs()
			for b.Loop() {
				r.refill()
				r.round()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/(float64(b.N)*float64(r.records)), "ns/record")
		})
	}
}
