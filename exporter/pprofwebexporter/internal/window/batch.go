// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package window keeps the newest windows of profiles, and finds what of them a
// reader chose.
package window

import (
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
)

// Share is what one resource of a batch has of one kind.
type Share struct {
	// Resource is its index in the batch.
	Resource int
	Process  Process
	Kind     convert.Kind
	// Value is in the unit that the kind shows.
	Value int64
}

// Batch is one message, encoded, and what it is about. It does not change.
type Batch struct {
	// Start and End are Unix nanoseconds.
	Start, End int64
	Samples    int
	Shares     []Share

	encoded []byte
	size    int64
}

// shareSize is about what a share takes beside its strings.
const shareSize = 256

// NewBatch encodes p, which it may change. The time of profiles that have none is
// now. An error says which reference leads nowhere.
func NewBatch(p pprofile.Profiles, now time.Time) (*Batch, error) {
	if err := convert.Check(p); err != nil {
		return nil, fmt.Errorf("invalid profiles: %w", err)
	}
	b := &Batch{Samples: p.SampleCount()}
	for i, rp := range p.ResourceProfiles().All() {
		b.summarize(i, p.Dictionary(), rp)
	}
	if b.Start == 0 {
		b.Start = now.UnixNano()
	}
	b.End = max(b.End, b.Start)
	var err error
	if b.encoded, err = (&pprofile.ProtoMarshaler{}).MarshalProfiles(p); err != nil {
		return nil, fmt.Errorf("encode profiles: %w", err)
	}
	b.size += int64(len(b.encoded))
	return b, nil
}

func (b *Batch) summarize(i int, d pprofile.ProfilesDictionary, rp pprofile.ResourceProfiles) {
	process := processOf(rp.Resource().Attributes())
	places := map[convert.Kind]int{}
	for _, sp := range rp.ScopeProfiles().All() {
		for _, p := range sp.Profiles().All() {
			b.cover(int64(p.Time()), p.DurationNano())
			kind := convert.KindOf(d, p)
			at, ok := places[kind]
			if !ok {
				at = len(b.Shares)
				places[kind] = at
				b.Shares = append(b.Shares, Share{Resource: i, Process: process, Kind: kind})
				b.size += shareSize + int64(process.size()+len(kind.String()))
			}
			b.Shares[at].Value = convert.Add(b.Shares[at].Value, kind.Value(total(p), p.Period()))
		}
	}
}

func total(p pprofile.Profile) int64 {
	var sum int64
	for _, s := range p.Samples().All() {
		sum = convert.Add(sum, convert.Count(s))
	}
	return sum
}

func (b *Batch) cover(start int64, duration uint64) {
	if start <= 0 {
		return
	}
	if b.Start == 0 || start < b.Start {
		b.Start = start
	}
	const day = 24 * time.Hour // longer windows are a mistake, and would overflow
	b.End = max(b.End, start+int64(min(duration, uint64(day))))
}

// Profiles decodes the message.
func (b *Batch) Profiles() (pprofile.Profiles, error) {
	p, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(b.encoded)
	if err != nil {
		return p, fmt.Errorf("decode profiles: %w", err)
	}
	return p, nil
}
