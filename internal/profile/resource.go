// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import "go.opentelemetry.io/collector/pdata/pprofile"

// openResource appends the resource of the owner with its empty profile.
func (b *builder) openResource() {
	rp := b.profiles.ResourceProfiles().AppendEmpty()
	rp.SetSchemaUrl(schemaURL)
	attributes := sortedAttributes(b.owner.Attributes)
	rp.Resource().Attributes().EnsureCapacity(len(attributes))
	for _, a := range attributes {
		a.put(rp.Resource().Attributes())
	}
	sp := rp.ScopeProfiles().AppendEmpty()
	sp.SetSchemaUrl(schemaURL)
	sp.Scope().SetName(validText(b.settings.ScopeName))
	sp.Scope().SetVersion(validText(b.settings.ScopeVersion))
	b.envelope.describe(sp.Profiles().AppendEmpty())
	b.open = true
}

// newSample appends a sample without timestamps to the current profile.
func (b *builder) newSample(key sampleKey) pprofile.Sample {
	rp := b.profiles.ResourceProfiles().At(key.resource - 1)
	s := rp.ScopeProfiles().At(0).Profiles().At(0).Samples().AppendEmpty()
	s.SetStackIndex(int32(key.stack))
	s.SetLinkIndex(int32(key.link))
	for _, i := range b.dict.ofSet(key.attributes) {
		s.AttributeIndices().Append(int32(i))
	}
	return s
}
