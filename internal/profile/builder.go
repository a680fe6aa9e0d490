// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"slices"
	"sort"

	"go.opentelemetry.io/collector/pdata/pprofile"
)

// builder fills one batch after the other. Whenever something does not fit, the
// batch is finished: nothing has to be taken back but dictionary entries.
type builder struct {
	window   *Window
	settings Settings
	resolver Resolver

	// owner is the one whose samples are being added.
	owner *Owner

	// What follows belongs to the batch being built.
	profiles pprofile.Profiles
	dict     *dictionary
	envelope envelope
	samples  uint64
	// closed is the size of the resources before the current one.
	closed sizes
	// open says that the owner's resource is in this batch: current.
	open    bool
	current resource
	// records finds the sample of a key, unsorted those whose timestamps came from
	// more than one record.
	records  map[sampleKey]pprofile.Sample
	unsorted map[sampleKey]pprofile.Sample
	// references are the strings of resource attributes that the dictionary did
	// not have: an encoder may add them to it.
	references map[string]struct{}
}

// sampleKey is the identity of a Sample in a batch.
type sampleKey struct {
	resource                int
	stack, link, attributes uint32
}

func newBuilder(w *Window, s Settings, r Resolver) *builder {
	b := &builder{window: w, settings: s, resolver: r}
	b.reset()
	return b
}

// reset starts a batch.
func (b *builder) reset() {
	b.profiles = pprofile.NewProfiles()
	b.dict = newDictionary(b.resolver, b.settings.Demangle)
	b.envelope = newEnvelope(b.window, b.settings, b.dict)
	b.samples, b.closed, b.open = 0, sizes{}, false
	b.records = map[sampleKey]pprofile.Sample{}
	b.unsorted = map[sampleKey]pprofile.Sample{}
	b.references = map[string]struct{}{}
}

// begin announces the owner of the samples to come.
func (b *builder) begin(o *Owner) {
	if b.open && !b.owner.shares(o) {
		b.closed = b.closed.plus(b.envelope.resource(b.current))
		b.open = false
	}
	b.owner = o
}

// add adds samples with the given timestamps and returns how many it took. If
// that is not all of them the batch is full.
func (b *builder) add(r record, times []uint64) int {
	before := b.dict.extent()
	labels := b.window.labels.keys[r.labels]
	key := sampleKey{
		resource:   b.profiles.ResourceProfiles().Len(),
		stack:      b.dict.stack(r.stack, b.window.stacks.keys[r.stack]),
		link:       b.dict.link(labels.Link),
		attributes: b.dict.set(b.owner.OnSamples, labels),
	}
	res := b.current
	if !b.open {
		res = newResource(b.owner, b.dict, b.references)
		key.resource++
	}
	taken := b.fit(res, key, len(times))
	if taken < len(times) && b.samples > 0 {
		// It may fit into a batch of its own.
		b.dict.truncate(before)
		return 0
	}
	taken = max(taken, 1)
	if !b.open {
		b.openResource()
	}
	b.put(&res, key, times[:taken])
	b.current = res
	return taken
}

// fit returns how many of n further timestamps a sample has room for.
func (b *builder) fit(res resource, key sampleKey, n int) int {
	present := 0
	if s, known := b.records[key]; known {
		present = s.TimestampsUnixNano().Len()
	}
	fits := func(n int) bool {
		grown := res
		grown.samples += b.dict.sampleSize(key, present+n) - b.dict.presentSize(key, present)
		return b.size(grown) <= b.settings.MaxBatchBytes
	}
	if fits(n) {
		return n
	}
	return sort.Search(n, func(i int) bool { return !fits(i + 1) })
}

// put appends timestamps to the sample of a key, which it creates if need be.
func (b *builder) put(res *resource, key sampleKey, times []uint64) {
	s, known := b.records[key]
	if known {
		b.unsorted[key] = s
	} else {
		s = b.newSample(key)
		b.records[key] = s
	}
	stamps := s.TimestampsUnixNano()
	res.samples -= b.dict.presentSize(key, stamps.Len())
	stamps.Append(times...)
	res.samples += b.dict.sampleSize(key, stamps.Len())
	b.samples += uint64(len(times))
}

// finish returns the batch and starts the next one.
func (b *builder) finish() Batch {
	for _, s := range b.unsorted {
		times := s.TimestampsUnixNano().AsRaw()
		slices.Sort(times)
		s.TimestampsUnixNano().FromRaw(times)
	}
	b.dict.write(b.profiles.Dictionary())
	batch := Batch{
		Profiles:             b.profiles,
		Samples:              b.samples,
		UnnamedLocations:     b.dict.unnamed(),
		PendingLocations:     b.dict.pending(),
		UnidentifiedMappings: b.dict.unidentified(),
	}
	b.reset()
	return batch
}
