// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/otlpcheck"
)

var testSettings = Settings{
	Demangle:      demangle,
	Period:        time.Second / 19,
	WallOffset:    1_700_000_000_000_000_000,
	MaxBatchBytes: 3 << 20,
	ScopeName:     "test/scope",
	ScopeVersion:  "1.2.3",
}

// thread returns the labels of samples of a thread with a name.
func thread(name string) (l Labels) {
	copy(l.Thread[:], name)
	return l
}

// collect builds all batches of a window.
func collect(w *Window, s Settings, r Resolver) []Batch {
	return slices.Collect(w.Batches(s, r))
}

// encode returns the bytes of a batch and leaves the batch as it is: encoding
// one that is not read-only would change it.
func encode(t require.TestingT, p pprofile.Profiles) []byte {
	c := pprofile.NewProfiles()
	p.CopyTo(c)
	encoded, err := (&pprofile.ProtoMarshaler{}).MarshalProfiles(c)
	require.NoError(t, err)
	return encoded
}

// encodedSize returns the larger of the two sizes a batch can have on the wire.
func encodedSize(t require.TestingT, p pprofile.Profiles) int {
	return max(len(encode(t, p)), (&pprofile.ProtoMarshaler{}).ProfilesSize(p))
}

// requireConformant checks a batch as built and as a receiver sees it.
func requireConformant(t require.TestingT, b Batch) {
	require.NoError(t, otlpcheck.Check(b.Profiles))
	decoded, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(encode(t, b.Profiles))
	require.NoError(t, err)
	require.NoError(t, otlpcheck.Check(decoded))
}

// locationText is a location in full, for comparisons.
func locationText(l Location) string {
	return fmt.Sprintf("%+v %#x %s %+v", l.Lines, l.Address, l.FrameType, l.Mapping)
}

// reader turns indices of a batch back into what they stand for.
type reader struct{ pprofile.ProfilesDictionary }

func (r reader) text(i int32) string { return r.StringTable().At(int(i)) }

func (r reader) attributes(indices []int32) map[string]string {
	m := map[string]string{}
	for _, i := range indices {
		a := r.AttributeTable().At(int(i))
		m[r.text(a.KeyStrindex())] = a.Value().AsString()
	}
	return m
}

func (r reader) location(i int32) Location {
	l := r.LocationTable().At(int(i))
	m := r.MappingTable().At(int(l.MappingIndex()))
	ids := r.attributes(m.AttributeIndices().AsRaw())
	loc := Location{
		Mapping: Mapping{
			Start: m.MemoryStart(), Limit: m.MemoryLimit(), Offset: m.FileOffset(),
			Filename:   r.text(m.FilenameStrindex()),
			GNUBuildID: ids[keyGNUBuildID], GoBuildID: ids[keyGoBuildID], HTLHash: ids[keyHTLHash],
		},
		Address:   l.Address(),
		FrameType: r.attributes(l.AttributeIndices().AsRaw())[keyFrameType],
	}
	for _, line := range l.Lines().All() {
		f := r.FunctionTable().At(int(line.FunctionIndex()))
		name, system := r.text(f.NameStrindex()), r.text(f.SystemNameStrindex())
		if system != "" && name == demangle(system) {
			name = system
		}
		loc.Lines = append(loc.Lines, Line{Function: name, File: r.text(f.FilenameStrindex()), Number: line.Line()})
	}
	return loc
}

// demangle makes _m1 to m1.
func demangle(symbol string) string { return strings.TrimPrefix(symbol, "_") }

func (r reader) stack(i int32) []Location {
	var stack []Location
	for _, l := range r.StackTable().At(int(i)).LocationIndices().All() {
		stack = append(stack, r.location(l))
	}
	return stack
}

// sampleText is what samples have in common, in the oracle and in the output.
func sampleText(resource string, attributes map[string]string, link event.Link, stack []Location) string {
	texts := []string{resource, braces(attributes), fmt.Sprint(link)}
	for _, l := range stack {
		texts = append(texts, locationText(l))
	}
	return strings.Join(texts, "\n")
}

// read adds the samples of a batch to a map from their text to timestamps.
func read(b Batch, into map[string][]uint64) {
	r := reader{b.Profiles.Dictionary()}
	for _, rp := range b.Profiles.ResourceProfiles().All() {
		resource, _ := rp.Resource().Attributes().Get("resource")
		for _, s := range rp.ScopeProfiles().At(0).Profiles().At(0).Samples().All() {
			l := r.LinkTable().At(int(s.LinkIndex()))
			link := event.Link{Trace: l.TraceID(), Span: l.SpanID()}
			text := sampleText(resource.AsString(), r.attributes(s.AttributeIndices().AsRaw()), link, r.stack(s.StackIndex()))
			into[text] = append(into[text], s.TimestampsUnixNano().AsRaw()...)
		}
	}
}

// fakeResolver knows binaries 0 (kernel), 1 (with build IDs), and others with
// a file name only. Two neighbouring offsets are one location, every fourth
// location has no name, every fourth is inlined and has a mangled one.
type fakeResolver struct{}

func (fakeResolver) Resolve(f Frame) Location {
	place := f.Offset / 2
	l := Location{Address: 0x1000 + place, FrameType: "native"}
	switch place % 4 {
	case 0:
	case 1:
		l.Lines = []Line{
			{Function: fmt.Sprintf("_m%d", place), File: fmt.Sprintf("%d.cc", place%8), Number: int64(place)},
			{Function: fmt.Sprintf("f%d", place+1), File: "caller.cc", Number: 1},
		}
	default:
		l.Lines = []Line{{Function: fmt.Sprintf("f%d", place)}}
	}
	switch f.Binary {
	case 0:
		l.FrameType = "kernel"
		l.Mapping = Mapping{Filename: "[kernel]"}
	case 1:
		l.Mapping = Mapping{
			Start: 0x1000, Limit: 0x9000, Offset: 0x200, Filename: "app",
			GNUBuildID: "abc", GoBuildID: "go/1", HTLHash: "00112233445566778899aabbccddeeff",
		}
	default:
		l.Mapping = Mapping{Start: 0x1000, Limit: 0x9000, Filename: fmt.Sprintf("lib%d", f.Binary)}
	}
	return l
}
