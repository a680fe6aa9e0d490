// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// header is what all profiles of a batch have in common. There is no profile_id:
// it is optional, and an identifier that repeats when the same samples are built
// again, here or on another host, would promise a uniqueness it does not have.
type header struct {
	samples, count, cpu, nanoseconds uint32
	time                             pcommon.Timestamp
	duration                         uint64
	period                           int64
}

func newHeader(w *Window, s Settings, d *dictionary) header {
	// OTLP's rule is half open at the end, [time, time+duration), a window is half
	// open at its start, (start, end]. In whole nanoseconds the same span is
	// [start+1, end+1).
	first, last := w.span()
	return header{
		samples:     d.text("samples"),
		count:       d.text("count"),
		cpu:         d.text("cpu"),
		nanoseconds: d.text("nanoseconds"),
		time:        s.wall(first),
		duration:    uint64(last-first) + 1,
		period:      s.Period.Nanoseconds(),
	}
}

// describe sets everything of a profile but its samples.
func (h header) describe(p pprofile.Profile) {
	p.SampleType().SetTypeStrindex(int32(h.samples))
	p.SampleType().SetUnitStrindex(int32(h.count))
	p.PeriodType().SetTypeStrindex(int32(h.cpu))
	p.PeriodType().SetUnitStrindex(int32(h.nanoseconds))
	p.SetPeriod(h.period)
	p.SetTime(h.time)
	p.SetDurationNano(h.duration)
}

// size is the length of an encoded profile without samples.
func (h header) size() int {
	const timeSize, emptyID = 1 + 8, 2
	return bytesSize(indexSize(h.samples)+indexSize(h.count)) +
		bytesSize(indexSize(h.cpu)+indexSize(h.nanoseconds)) +
		numberSize(uint64(h.period)) + numberSize(h.duration) + timeSize + emptyID
}
