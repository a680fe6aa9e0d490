// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package workloads

import (
	"regexp"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// SlotOf tells a slot by what a location says.
type SlotOf func(function string, address uint64) string

// EachSample visits the samples of the two programs: the attributes of their
// resource, the slot if it can be told, and how many they are.
func EachSample(all []pprofile.Profiles, slotOf SlotOf, visit func(a pcommon.Map, slot string, n int)) {
	for _, p := range all {
		for _, rp := range p.ResourceProfiles().All() {
			for _, sp := range rp.ScopeProfiles().All() {
				for _, profile := range sp.Profiles().All() {
					for _, s := range profile.Samples().All() {
						slot := slotIn(p.Dictionary(), s, slotOf)
						visit(rp.Resource().Attributes(), slot, s.TimestampsUnixNano().Len())
					}
				}
			}
		}
	}
}

// slotIn returns the slot that a sample was taken in, if it can be told.
func slotIn(d pprofile.ProfilesDictionary, s pprofile.Sample, slotOf SlotOf) string {
	for _, i := range d.StackTable().At(int(s.StackIndex())).LocationIndices().All() {
		l := d.LocationTable().At(int(i))
		function := ""
		if n := l.Lines().Len(); n > 0 { // the last is the function, others were inlined into it
			f := d.FunctionTable().At(int(l.Lines().At(n - 1).FunctionIndex()))
			function = d.StringTable().At(int(f.NameStrindex()))
		}
		if slot := slotOf(function, l.Address()); slot != "" {
			return slot
		}
	}
	return ""
}

// ByName tells a slot by its function's name only.
func ByName(function string, _ uint64) string {
	return slotName.FindString(function)
}

// slotName is what slots are called; other programs have functions like
// find_slot_with_hash.
var slotName = regexp.MustCompile(`^(alpha|beta)_slot_\d+$`)

// ByAddress tells it for programs at fixed addresses, which their locations keep.
// A name, if there is one, has to be that of the address.
func (l *Lives) ByAddress(function string, address uint64) string {
	slot := l.Slot(address)
	if function != "" && slot != ByName(function, 0) {
		return "misnamed_slot_" + function
	}
	return slot
}
