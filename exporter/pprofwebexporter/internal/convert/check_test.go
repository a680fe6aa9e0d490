// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/profiletest"
)

func TestEveryDanglingReferenceIsAnError(t *testing.T) {
	for want, change := range map[string]func(pprofile.ProfilesDictionary, pprofile.Profile){
		"mapping 1 refers to string 99, of which there are 10": func(d pprofile.ProfilesDictionary, _ pprofile.Profile) {
			d.MappingTable().At(1).SetFilenameStrindex(99)
		},
		"mapping 1 refers to attribute 98, of which there are 4": func(d pprofile.ProfilesDictionary, _ pprofile.Profile) {
			d.MappingTable().At(1).AttributeIndices().Append(98)
		},
		"function 1 refers to string -1, of which there are 10": func(d pprofile.ProfilesDictionary, _ pprofile.Profile) {
			d.FunctionTable().At(1).SetNameStrindex(-1)
		},
		"function 1 refers to string 97, of which there are 10": func(d pprofile.ProfilesDictionary, _ pprofile.Profile) {
			d.FunctionTable().At(1).SetSystemNameStrindex(97)
		},
		"function 1 refers to string 96, of which there are 10": func(d pprofile.ProfilesDictionary, _ pprofile.Profile) {
			d.FunctionTable().At(1).SetFilenameStrindex(96)
		},
		"location 1 refers to mapping 3, of which there are 3": func(d pprofile.ProfilesDictionary, _ pprofile.Profile) {
			d.LocationTable().At(1).SetMappingIndex(3)
		},
		"location 1 refers to attribute 95, of which there are 4": func(d pprofile.ProfilesDictionary, _ pprofile.Profile) {
			d.LocationTable().At(1).AttributeIndices().Append(95)
		},
		"location 1 refers to function 3, of which there are 3": func(d pprofile.ProfilesDictionary, _ pprofile.Profile) {
			d.LocationTable().At(1).Lines().At(0).SetFunctionIndex(3)
		},
		"stack 1 refers to location -7, of which there are 3": func(d pprofile.ProfilesDictionary, _ pprofile.Profile) {
			d.StackTable().At(1).LocationIndices().Append(-7)
		},
		"attribute 1 refers to string 94, of which there are 10": func(d pprofile.ProfilesDictionary, _ pprofile.Profile) {
			d.AttributeTable().At(1).SetKeyStrindex(94)
		},
		"attribute 1 refers to string 93, of which there are 10": func(d pprofile.ProfilesDictionary, _ pprofile.Profile) {
			d.AttributeTable().At(1).SetUnitStrindex(93)
		},
		"a profile of resource 0 refers to string 92, of which there are 10": func(_ pprofile.ProfilesDictionary, p pprofile.Profile) {
			p.SampleType().SetTypeStrindex(92)
		},
		"a profile of resource 0 refers to string 91, of which there are 10": func(_ pprofile.ProfilesDictionary, p pprofile.Profile) {
			p.SampleType().SetUnitStrindex(91)
		},
		"a profile of resource 0 refers to string 90, of which there are 10": func(_ pprofile.ProfilesDictionary, p pprofile.Profile) {
			p.PeriodType().SetTypeStrindex(90)
		},
		"a profile of resource 0 refers to string 89, of which there are 10": func(_ pprofile.ProfilesDictionary, p pprofile.Profile) {
			p.PeriodType().SetUnitStrindex(89)
		},
		"a profile of resource 0 refers to stack 2, of which there are 2": func(_ pprofile.ProfilesDictionary, p pprofile.Profile) {
			p.Samples().At(0).SetStackIndex(2)
		},
		"a profile of resource 0 refers to attribute 88, of which there are 4": func(_ pprofile.ProfilesDictionary, p pprofile.Profile) {
			p.Samples().At(0).AttributeIndices().Append(88)
		},
	} {
		t.Run(want, func(t *testing.T) {
			p := profiletest.CPU("a", 1, 1, profiletest.Stack(1, "f", "g"))
			p.Samples[0].Attributes = map[string]any{"thread.name": "t"}
			message := profiletest.Build(p)
			require.NoError(t, convert.Check(message))

			change(message.Dictionary(), message.ResourceProfiles().At(0).ScopeProfiles().At(0).Profiles().At(0))

			require.EqualError(t, convert.Check(message), want)
		})
	}
}
