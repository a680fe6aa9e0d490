// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package simulation

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"

// ticker is a time.Ticker: of the ticks that nobody took it holds one.
type ticker struct{ interval, next event.KTime }

func newTicker(interval event.KTime) *ticker { return &ticker{interval, boot + interval} }

// take returns when a reader that is ready at a time gets its tick.
func (t *ticker) take(ready event.KTime) event.KTime {
	got := max(ready, t.next)
	t.next = got - (got-boot)%t.interval + t.interval
	return got
}
