// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
)

type listener func(completion.Completion)

func (l listener) Completed(c completion.Completion) { l(c) }

// mailboxes have listeners that count what they hear. The function ends them.
func mailboxes(n int) (boxes []*mailbox, heard, replaced *atomic.Uint64, stop func()) {
	heard, replaced = &atomic.Uint64{}, &atomic.Uint64{}
	done := make(chan struct{})
	for range n {
		m := newMailbox(listener(func(completion.Completion) { heard.Add(1) }), replaced)
		boxes = append(boxes, m)
		go func() {
			m.run()
			done <- struct{}{}
		}()
	}
	return boxes, heard, replaced, func() {
		for _, m := range boxes {
			close(m.slot)
			<-done
		}
	}
}

func fanOut(boxes []*mailbox, until int) {
	for _, m := range boxes {
		m.post(completion.Completion{Until: completion.KTime(until)})
	}
}

func TestACompletionIsHeardOrReplaced(t *testing.T) {
	const listeners, completions = 8, 10_000
	boxes, heard, replaced, stop := mailboxes(listeners)
	for until := range completions {
		fanOut(boxes, until)
	}
	stop()
	require.EqualValues(t, listeners*completions, heard.Load()+replaced.Load())
}

func TestFanOutDoesNotAllocate(t *testing.T) {
	boxes, _, _, stop := mailboxes(8)
	defer stop()
	require.Zero(t, testing.AllocsPerRun(1000, func() { fanOut(boxes, 1) }))
}

func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{0, 1, 8} {
		b.Run(fmt.Sprintf("%d_listeners", n), func(b *testing.B) {
			boxes, _, replaced, stop := mailboxes(n)
			defer stop()
			b.ReportAllocs()
			for until := 0; b.Loop(); until++ {
				fanOut(boxes, until)
			}
			b.ReportMetric(float64(replaced.Load())/float64(b.N), "replaced/op")
		})
	}
}
