// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package otlpcheck

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// rules returns the rules an error of Check names.
func rules(t *testing.T, err error) map[Rule]bool {
	t.Helper()
	found := map[Rule]bool{}
	if err == nil {
		return found
	}
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok, "Check returns errors.Join")
	for _, e := range joined.Unwrap() {
		var f *Finding
		require.ErrorAs(t, e, &f)
		assert.NotEmpty(t, f.Place)
		found[f.Rule] = true
	}
	return found
}

func TestValid(t *testing.T) {
	require.NoError(t, Check(valid()))
}

// Encoding moves the strings of resource attributes into the string table, where
// nothing but those attributes refers to them.
func TestValidAfterRoundTrip(t *testing.T) {
	p := valid()
	before := p.Dictionary().StringTable().Len()
	encoded, err := (&pprofile.ProtoMarshaler{}).MarshalProfiles(p)
	require.NoError(t, err)
	decoded, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(encoded)
	require.NoError(t, err)
	require.Greater(t, decoded.Dictionary().StringTable().Len(), before)
	require.NoError(t, Check(decoded))
}

func TestReadOnlyIsLeftAlone(t *testing.T) {
	p := valid()
	p.MarkReadOnly()
	require.NoError(t, Check(p))
}

func TestFindingNamesRulePlaceAndProblem(t *testing.T) {
	p := valid()
	p.Dictionary().StackTable().At(2).LocationIndices().SetAt(0, 9)
	err := Check(p)
	require.EqualError(t, err, "stack_table[2]: location_indices 9, location_table has 3 entries (index-range)")
	var f *Finding
	require.True(t, errors.As(err, &f))
}

// TestNoPanic sets every index to what is not there: findings, not panics.
func TestNoPanic(t *testing.T) {
	for _, bad := range []int32{-1, 1 << 30} {
		p := valid()
		d := p.Dictionary()
		d.AttributeTable().At(1).SetKeyStrindex(bad)
		d.AttributeTable().At(1).SetUnitStrindex(bad)
		d.FunctionTable().At(1).SetNameStrindex(bad)
		d.MappingTable().At(1).AttributeIndices().SetAt(0, bad)
		d.LocationTable().At(1).SetMappingIndex(bad)
		d.LocationTable().At(1).AttributeIndices().SetAt(0, bad)
		d.StackTable().At(1).LocationIndices().SetAt(0, bad)
		s := firstProfile(p).Samples().At(0)
		s.SetStackIndex(bad)
		s.SetLinkIndex(bad)
		s.AttributeIndices().SetAt(0, bad)
		assert.True(t, rules(t, Check(p))[IndexRange])
	}
	assert.True(t, rules(t, Check(pprofile.NewProfiles()))[ZeroEntry])
}

// TestEveryRuleIsBroken holds the table of mutations against the list of rules.
func TestEveryRuleIsBroken(t *testing.T) {
	broken := map[Rule]bool{}
	for _, m := range mutations {
		broken[m.rule] = true
	}
	for _, r := range []Rule{
		NonEmpty, IndexRange, ZeroEntry, Duplicate, Orphan, UTF8, AttributeKey, AttributeUnique, ValueType,
		Duration, TimestampRange, SampleShape, SampleIdentity, StackLocation, MappingRange, MappingBuildID,
		FrameType, NonNegative, LinkID, FunctionIdentity,
	} {
		assert.True(t, broken[r], "no mutation breaks %s", r)
	}
}

func TestMutations(t *testing.T) {
	for _, m := range mutations {
		t.Run(string(m.rule)+"/"+m.name, func(t *testing.T) {
			p := valid()
			m.apply(p)
			err := Check(p)
			assert.True(t, rules(t, err)[m.rule], "not found; Check says: %v", err)
		})
	}
}
