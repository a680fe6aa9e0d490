// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/pprof/profile"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

const (
	// maxDepth is more than profilers collect.
	maxDepth = 2048
	// frameSize is about what a frame of a sample takes beside its name.
	frameSize = 64
	// maxSize bounds what one profile takes in bytes if every sample had names of its
	// own, as it has in text. Ten minutes of a busy host are a fifth of it.
	maxSize = 256 << 20
)

// ErrTooLarge says that there is more than one profile should hold.
var ErrTooLarge = errors.New("more than one profile can hold: choose a shorter time, or fewer processes")

// Builder adds up OTLP profiles of one kind to one of pprof.
type Builder struct {
	kind    Kind
	profile *profile.Profile
	// first and last bound the time, in Unix nanoseconds.
	first, last uint64
	// size is what maxSize bounds.
	size int

	functions map[profile.Function]*profile.Function
	mappings  map[mappingKey]*profile.Mapping
	locations map[string]*profile.Location
	stacks    map[string]*stack
	labels    map[string]*labels
	samples   map[sampleKey]*profile.Sample
	truncated *profile.Location
}

type sampleKey struct {
	stack  *stack
	labels *labels
}

type stack struct {
	locations []*profile.Location
	size      int
}

// NewBuilder starts an empty profile.
func NewBuilder(kind Kind) *Builder {
	types := kind.types()
	return &Builder{
		kind: kind,
		profile: &profile.Profile{
			SampleType:        types,
			DefaultSampleType: types[len(types)-1].Type,
			PeriodType:        &profile.ValueType{Type: kind.PeriodType, Unit: kind.PeriodUnit},
		},
		functions: map[profile.Function]*profile.Function{},
		mappings:  map[mappingKey]*profile.Mapping{},
		locations: map[string]*profile.Location{},
		stacks:    map[string]*stack{},
		labels:    map[string]*labels{},
		samples:   map[sampleKey]*profile.Sample{},
	}
}

// Add adds the samples of the builder's kind of those resources that keep names by
// their index. It trusts that Check has passed p. After an error the builder is
// of no use.
func (b *Builder) Add(p pprofile.Profiles, keep func(resource int) bool) error {
	batch := newBatch(b, p.Dictionary())
	for i, rp := range p.ResourceProfiles().All() {
		if !keep(i) {
			continue
		}
		owner := labelsOfResource(rp.Resource().Attributes())
		for _, sp := range rp.ScopeProfiles().All() {
			for _, profile := range sp.Profiles().All() {
				if err := b.add(batch, owner, profile); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *Builder) add(batch *batch, owner labels, p pprofile.Profile) error {
	if KindOf(batch.d, p) != b.kind {
		return nil
	}
	b.cover(uint64(p.Time()), p.DurationNano())
	b.profile.Period = max(b.profile.Period, p.Period())
	known := map[string]*labels{}
	for _, s := range p.Samples().All() {
		attributes := indexKey(s.AttributeIndices().AsRaw())
		l, ok := known[attributes]
		if !ok {
			l = b.label(owner.with(batch.d, s.AttributeIndices()))
			known[attributes] = l
		}
		if err := b.count(batch.stack(s.StackIndex()), l, b.kind.values(Count(s), p.Period())); err != nil {
			return err
		}
	}
	return nil
}

func (b *Builder) cover(start, duration uint64) {
	if start == 0 {
		return
	}
	if b.first == 0 || start < b.first {
		b.first = start
	}
	b.last = max(b.last, start+duration)
}

func (b *Builder) label(l labels) *labels {
	key := l.key()
	if known, ok := b.labels[key]; ok {
		return known
	}
	b.labels[key] = &l
	return &l
}

func (b *Builder) count(stack *stack, l *labels, values []int64) error {
	key := sampleKey{stack, l}
	if s, ok := b.samples[key]; ok {
		for i, v := range values {
			s.Value[i] = Add(s.Value[i], v)
		}
		return nil
	}
	b.size += stack.size
	if b.size > maxSize {
		return ErrTooLarge
	}
	s := &profile.Sample{Location: stack.locations, Value: values, Label: l.texts, NumLabel: l.numbers, NumUnit: l.units}
	b.samples[key] = s
	b.profile.Sample = append(b.profile.Sample, s)
	return nil
}

// Profile is what has been added. The builder is of no use afterwards.
func (b *Builder) Profile() *profile.Profile {
	b.profile.TimeNanos = int64(b.first)
	if b.last > b.first {
		b.profile.DurationNanos = int64(min(b.last-b.first, uint64(maxDuration)))
	}
	b.markSymbolized()
	return b.profile
}

const maxDuration = 100 * 365 * 24 * time.Hour

// markSymbolized says of every file whether all that was running in it has names,
// so that pprof does not look for them.
func (b *Builder) markSymbolized() {
	unnamed := map[*profile.Mapping]bool{}
	for _, l := range b.profile.Location {
		if len(l.Line) == 0 {
			unnamed[l.Mapping] = true
		}
	}
	for _, m := range b.profile.Mapping {
		named := !unnamed[m]
		m.HasFunctions, m.HasFilenames, m.HasLineNumbers, m.HasInlineFrames = named, named, named, named
	}
}

// indexKey is the same for equal lists only.
func indexKey(indices []int32) string {
	key := make([]byte, 0, 4*len(indices))
	for _, i := range indices {
		key = binary.LittleEndian.AppendUint32(key, uint32(i))
	}
	return string(key)
}
