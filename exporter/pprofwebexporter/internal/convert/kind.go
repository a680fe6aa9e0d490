// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"strings"

	"github.com/google/pprof/profile"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// Kind is what the values of a profile count. Only profiles of one kind can be
// added up.
type Kind struct{ Type, Unit, PeriodType, PeriodUnit string }

// KindOf returns the kind of a profile that Check has passed.
func KindOf(d pprofile.ProfilesDictionary, p pprofile.Profile) Kind {
	word := func(i int32) string { return Cut(text(d, i)) }
	return Kind{
		Type: word(p.SampleType().TypeStrindex()), Unit: word(p.SampleType().UnitStrindex()),
		PeriodType: word(p.PeriodType().TypeStrindex()), PeriodUnit: word(p.PeriodType().UnitStrindex()),
	}
}

// String tells kinds apart, for instance in an address.
func (k Kind) String() string {
	return strings.Join([]string{k.Type, k.Unit, k.PeriodType, k.PeriodUnit}, ":")
}

// Periodic tells whether each count stands for a period of something, as a sample
// of the CPU does for the time since the one before.
func (k Kind) Periodic() bool {
	return k.Type == "samples" && k.Unit == "count" && k.PeriodType != "" && k.PeriodUnit != ""
}

// Shown is the type and the unit that readers want to see.
func (k Kind) Shown() (name, unit string) {
	if k.Periodic() {
		return k.PeriodType, k.PeriodUnit
	}
	return k.Type, k.Unit
}

// Value is a count of this kind in the unit that is shown.
func (k Kind) Value(count, period int64) int64 {
	if k.Periodic() {
		return saturate(count, period)
	}
	return count
}

// types are the sample types of pprof; the last is the one shown.
func (k Kind) types() []*profile.ValueType {
	types := []*profile.ValueType{{Type: k.Type, Unit: k.Unit}}
	if k.Periodic() {
		types = append(types, &profile.ValueType{Type: k.PeriodType, Unit: k.PeriodUnit})
	}
	return types
}

// values has an element for each of types.
func (k Kind) values(count, period int64) []int64 {
	if k.Periodic() {
		return []int64{count, k.Value(count, period)}
	}
	return []int64{count}
}
