// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"testing"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

func BenchmarkAttribute(b *testing.B) {
	tab := New(Settings{})
	const n = 1000
	for i := range uint32(n) {
		p := id(i, 7)
		tab.Observe([]event.Lifecycle{fork(us, p, no, 0)})
		tab.Answer(saw(2*us, 3*us, p, 0, "x"))
	}
	tab.Complete(10 * us)
	i := uint32(0)
	s := hit(11*us, no, 0)
	b.ReportAllocs()
	for b.Loop() {
		i = (i + 7) % n
		s.Proc = event.ProcID{PID: i, Start: 7}
		tab.Expect(s)
		tab.Attribute(s)
	}
}

// 250 processes that fork, exec, exit and are freed: 1000 records.
func BenchmarkComplete(b *testing.B) {
	tab := New(Settings{})
	k, start := us, event.BootTime(1)
	rs := make([]event.Lifecycle, 0, 1000)
	b.ReportAllocs()
	for b.Loop() {
		rs = rs[:0]
		for i := range uint32(250) {
			start++
			p := id(i, start)
			rs = append(rs, end(event.Free, k+9, p), fork(k, p, no, 0), end(event.Exit, k+5, p), exec(k+2, p, 1))
			k += 10
		}
		tab.Observe(rs)
		tab.Complete(k)
		tab.Evict(k)
	}
}
