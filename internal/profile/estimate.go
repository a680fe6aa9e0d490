// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

// sizes is the encoded length of something in the two forms it can be sent in:
// with the strings of resource attributes in place, as gRPC exporters do, or in
// the string table, as others do. Neither is always the longer one.
type sizes struct{ plain, referring int }

func (s sizes) plus(t sizes) sizes {
	return sizes{plain: s.plain + t.plain, referring: s.referring + t.referring}
}

// resource is the size of the parts of a resource that differ between owners.
type resource struct {
	attributes sizes
	// strings is the size of those attributes' strings that no table holds yet.
	strings int
	// samples is the size of the samples.
	samples int
}

// newResource measures an owner's attributes and notes their strings in known.
func newResource(o *Owner, d *dictionary, known map[string]struct{}) resource {
	var r resource
	for _, a := range o.Attributes {
		r.attributes = r.attributes.plus(attributeSizes(a))
		r.note(a.key, d, known)
		for _, t := range a.texts {
			r.note(t, d, known)
		}
	}
	return r
}

// note counts a string that no table holds yet.
func (r *resource) note(s string, d *dictionary, known map[string]struct{}) {
	if _, there := d.strings.find(s); there {
		return
	}
	if _, there := known[s]; !there {
		known[s] = struct{}{}
		r.strings += bytesSize(len(s))
	}
}

// envelope knows the size of what is the same in all resources of a batch.
type envelope struct {
	header
	profile, scope, schema int
}

func newEnvelope(w *Window, s Settings, d *dictionary) envelope {
	h := newHeader(w, s, d)
	return envelope{
		header:  h,
		profile: h.size(),
		scope:   bytesSize(textSize(validText(s.ScopeName)) + textSize(validText(s.ScopeVersion))),
		schema:  textSize(schemaURL),
	}
}

// resource returns the length of a resource with its profile. The strings that
// it would add to the string table are counted with the referring form.
func (e envelope) resource(r resource) sizes {
	profile := bytesSize(e.profile + r.samples)
	scope := bytesSize(e.scope + profile + e.schema)
	whole := func(attributes int) int { return bytesSize(bytesSize(attributes) + scope + e.schema) }
	return sizes{plain: whole(r.attributes.plain), referring: whole(r.attributes.referring) + r.strings}
}

// size is the length of the batch if its current resource is as given.
func (b *builder) size(current resource) int {
	// The references lengthen the dictionary, and with it perhaps its length
	// prefix.
	const prefix = 4
	all := b.closed.plus(b.envelope.resource(current))
	return bytesSize(b.dict.size) + max(all.plain, all.referring+prefix)
}

// presentSize is the size of a sample that may not be there yet.
func (d *dictionary) presentSize(key sampleKey, n int) int {
	if n == 0 {
		return 0
	}
	return d.sampleSize(key, n)
}
