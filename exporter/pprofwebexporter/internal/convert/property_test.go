// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package convert_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/profiletest"
)

// However samples are spread over messages, each is counted once, under its
// process and functions.
func TestNoSampleIsLostOrMixed(t *testing.T) {
	name := rapid.SampledFrom([]string{"a", "b", "c"})
	frame := rapid.Custom(func(t *rapid.T) profiletest.Frame {
		f := profiletest.Frame{Address: rapid.Uint64Range(0, 2).Draw(t, "address")}
		if rapid.Bool().Draw(t, "has a mapping") {
			f.Mapping = profiletest.Mapping{File: name.Draw(t, "file"), GNU: name.Draw(t, "build ID")}
		}
		for range rapid.IntRange(1, 3).Draw(t, "lines") {
			f.Lines = append(f.Lines, profiletest.Line{Function: name.Draw(t, "function"), Line: rapid.Int64Range(0, 2).Draw(t, "line")})
		}
		return f
	})
	sample := rapid.Custom(func(t *rapid.T) profiletest.Sample {
		return profiletest.Sample{
			Frames:     rapid.SliceOfN(frame, 0, 4).Draw(t, "frames"),
			Timestamps: rapid.IntRange(0, 5).Draw(t, "count"),
			Attributes: map[string]any{"thread.name": name.Draw(t, "thread")},
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]int64{}
		var profiles []profiletest.Profile
		for range rapid.IntRange(1, 5).Draw(t, "profiles") {
			p := profiletest.CPU(name.Draw(t, "process"), rapid.IntRange(1, 2).Draw(t, "pid"), 1,
				rapid.SliceOfN(sample, 0, 5).Draw(t, "samples")...)
			profiles = append(profiles, p)
			for _, s := range p.Samples {
				want[described(p, s)] += int64(s.Timestamps)
			}
		}
		cut := rapid.IntRange(0, len(profiles)).Draw(t, "cut")

		b := convert.NewBuilder(cpu)
		for _, part := range [][]profiletest.Profile{profiles[:cut], profiles[cut:]} {
			require.NoError(t, b.Add(profiletest.Build(part...), all))
		}
		p := b.Profile()

		require.NoError(t, p.CheckValid())
		require.Equal(t, want, folded(p))
	})
}

// described is what folded makes of a sample.
func described(p profiletest.Profile, s profiletest.Sample) string {
	line := p.Attributes["process.executable.name"].(string)
	for i := len(s.Frames) - 1; i >= 0; i-- {
		for j := len(s.Frames[i].Lines) - 1; j >= 0; j-- {
			line += ";" + s.Frames[i].Lines[j].Function
		}
	}
	return line
}

// Whatever a message holds, it is refused, or converted with nothing lost.
func FuzzConvert(f *testing.F) {
	for _, p := range []pprofile.Profiles{
		profiletest.Build(profiletest.CPU("a", 1, 1, profiletest.Stack(2, "f", "main"))),
		profiletest.Build(profiletest.Profile{Type: "x", Samples: []profiletest.Sample{{Values: []int64{-1, 5}}}}),
		pprofile.NewProfiles(),
	} {
		encoded, err := (&pprofile.ProtoMarshaler{}).MarshalProfiles(p)
		require.NoError(f, err)
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		message, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(encoded)
		if err != nil || convert.Check(message) != nil {
			return
		}
		for kind, want := range totals(message) {
			b := convert.NewBuilder(kind)
			if err := b.Add(message, all); err != nil {
				require.True(t, errors.Is(err, convert.ErrTooLarge), err)
				continue
			}
			p := b.Profile()
			convert.Name(p)
			require.NoError(t, p.CheckValid())
			var got int64
			for _, s := range p.Sample {
				got = convert.Add(got, s.Value[0])
			}
			require.Equal(t, want, got)
			var text strings.Builder
			require.NoError(t, convert.WriteFolded(&text, p))
		}
	})
}

// totals are the sums of all samples, by kind.
func totals(message pprofile.Profiles) map[convert.Kind]int64 {
	out := map[convert.Kind]int64{}
	for _, rp := range message.ResourceProfiles().All() {
		for _, sp := range rp.ScopeProfiles().All() {
			for _, p := range sp.Profiles().All() {
				kind := convert.KindOf(message.Dictionary(), p)
				out[kind] += 0
				for _, s := range p.Samples().All() {
					out[kind] = convert.Add(out[kind], convert.Count(s))
				}
			}
		}
	}
	return out
}
