// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

const windowStart, windowEnd = event.KTime(1_000_000), event.KTime(2_000_000)

// addition is one call of Window.Add.
type addition struct {
	owner  int
	labels Labels
	ktime  event.KTime
	stack  []Frame
}

// testLinks share a trace, a span, and neither; most samples have none.
var testLinks = []event.Link{
	{}, {}, {}, {Trace: [16]byte{1}, Span: [8]byte{1}}, {Trace: [16]byte{1}, Span: [8]byte{2}}, {Trace: [16]byte{2}, Span: [8]byte{2}},
}

// drawOwners draws owners: some with a resource of their own, by the attribute "resource", and
// some that share one and whose samples tell who they are.
func drawOwners(t *rapid.T) []*Owner {
	owners := make([]*Owner, rapid.IntRange(1, 12).Draw(t, "owners"))
	for i := range owners {
		owners[i] = &Owner{
			Start:      event.BootTime(rapid.IntRange(0, 3).Draw(t, "start")),
			PID:        uint32(rapid.IntRange(0, 3).Draw(t, "pid")),
			Generation: event.Generation(rapid.IntRange(0, 3).Draw(t, "generation")),
			Group:      rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "group"),
		}
		service := StringAttribute("service.name", rapid.SampledFrom([]string{"", "shop", "till"}).Draw(t, "service"))
		number := IntAttribute("process.pid", rapid.Int64().Draw(t, "int"))
		name := StringAttribute("name", string(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "name")))
		if o := owners[i]; o.Group != "" {
			o.Attributes = []Attribute{StringAttribute("resource", o.Group)}
			o.OnSamples = []Attribute{StringAttribute("who", fmt.Sprint(i%3)), service, number, name}
		} else {
			o.OnSamples = rapid.SampledFrom([][]Attribute{nil, {service}}).Draw(t, "on samples")
			o.Attributes = []Attribute{
				StringAttribute("resource", fmt.Sprint(i)), service, number, name,
				ListAttribute("list", rapid.SliceOfN(rapid.StringN(0, 9, 20), 0, 12).Draw(t, "list")),
			}
		}
	}
	return owners
}

func drawAdditions(t *rapid.T, owners int) []addition {
	frame := rapid.Custom(func(t *rapid.T) Frame {
		return Frame{
			Binary: BinaryID(rapid.IntRange(0, 4).Draw(t, "binary")),
			Offset: uint64(rapid.IntRange(0, 40).Draw(t, "offset")),
		}
	})
	stacks := rapid.SliceOfN(rapid.SliceOfN(frame, 0, 30), 1, 12).Draw(t, "stacks")
	// A twin has other frames, but the same locations.
	for _, stack := range stacks {
		twin := slices.Clone(stack)
		for i := range twin {
			twin[i].Offset ^= 1
		}
		stacks = append(stacks, twin)
	}
	one := rapid.Custom(func(t *rapid.T) addition {
		return addition{
			owner:  rapid.IntRange(0, owners-1).Draw(t, "owner"),
			labels: drawLabels(t),
			// A little outside of the window, too.
			ktime: event.KTime(rapid.Uint64Range(uint64(windowStart)-10, uint64(windowEnd)+10).Draw(t, "ktime")),
			stack: rapid.SampledFrom(stacks).Draw(t, "stack"),
		}
	})
	return rapid.SliceOfN(one, 0, 150).Draw(t, "additions")
}

func drawLabels(t *rapid.T) Labels {
	l := thread(rapid.SampledFrom([]string{"", "main", "worker", "\xff\xfe"}).Draw(t, "thread"))
	l.ThreadID = rapid.Uint32Range(0, 2).Draw(t, "thread id")
	l.CPU = rapid.Uint32Range(0, 2).Draw(t, "cpu")
	l.End = rapid.SampledFrom([]event.UserStack{0, event.UserTaken + 1, event.UserUnmapped + 1}).Draw(t, "end")
	l.Link = rapid.SampledFrom(testLinks).Draw(t, "link")
	return l
}

func fill(owners []*Owner, additions []addition) *Window {
	w := NewWindow(windowStart, windowEnd)
	for _, a := range additions {
		w.Add(owners[a.owner], a.labels, a.ktime, a.stack)
	}
	return w
}

// oracle counts as Window and Batches should, without their tables.
func oracle(owners []*Owner, additions []addition, s Settings) map[string][]uint64 {
	want := map[string][]uint64{}
	for _, a := range additions {
		var stack []Location
		for _, f := range a.stack {
			stack = append(stack, (fakeResolver{}).Resolve(f))
		}
		o := owners[a.owner]
		text := sampleText(o.Attributes[0].texts[0], attributesOf(o, a.labels), a.labels.Link, stack)
		want[text] = append(want[text], uint64(s.wall(a.ktime)))
	}
	return sorted(want)
}

// attributesOf are those that a sample should have.
func attributesOf(o *Owner, l Labels) map[string]string {
	want := map[string]string{}
	for _, a := range o.OnSamples {
		if a.kind == ofNumber {
			want[a.key] = fmt.Sprint(a.number)
		} else if a.texts[0] != "" {
			want[a.key] = a.texts[0]
		}
	}
	if l.Thread != (event.Comm{}) {
		want["thread.name"] = validText(l.Thread.String())
	}
	if l.ThreadID != 0 {
		want["thread.id"] = fmt.Sprint(l.ThreadID)
	}
	if l.CPU != 0 {
		want["cpu.logical_number"] = fmt.Sprint(l.CPU - 1)
	}
	if l.End != 0 {
		want["ebpf_profiler.stack_end"] = map[event.UserStack]string{1: "frame_pointers", 12: "unmapped"}[l.End]
	}
	return want
}

func sorted(m map[string][]uint64) map[string][]uint64 {
	for _, times := range m {
		slices.Sort(times)
	}
	return m
}

// TestModel compares what receivers decode with the oracle, for limits from
// hopeless to ample.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		owners := drawOwners(t)
		additions := drawAdditions(t, len(owners))
		w := fill(owners, additions)
		s := testSettings
		s.MaxBatchBytes = rapid.OneOf(rapid.IntRange(0, 20_000), rapid.Just(3<<20)).Draw(t, "limit")

		got := map[string][]uint64{}
		var total uint64
		first := collect(w, s, fakeResolver{})
		for _, b := range first {
			requireConformant(t, b)
			requireSorted(t, b.Profiles)
			requireOneResourceEach(t, b.Profiles)
			if b.Samples > 1 {
				require.LessOrEqual(t, encodedSize(t, b.Profiles), s.MaxBatchBytes)
			}
			require.NotZero(t, b.Samples)
			total += b.Samples
			decoded, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(encode(t, b.Profiles))
			require.NoError(t, err)
			read(Batch{Profiles: decoded}, got)
		}
		require.Equal(t, oracle(owners, additions, s), sorted(got))
		require.EqualValues(t, len(additions), total)
		require.Equal(t, total, w.Samples())

		requireEqualBatches(t, first, collect(w, s, fakeResolver{}))
		requireEqualBatches(t, first, collect(fill(owners, additions), s, fakeResolver{}))
	})
}

func requireEqualBatches(t require.TestingT, a, b []Batch) {
	require.Len(t, b, len(a))
	for i := range a {
		require.Equal(t, encode(t, a[i].Profiles), encode(t, b[i].Profiles))
		require.Equal(t, a[i].Samples, b[i].Samples)
	}
}

// requireOneResourceEach: a batch has one resource of each group and each other owner, with the
// attributes of its samples in the order of their keys.
func requireOneResourceEach(t require.TestingT, p pprofile.Profiles) {
	r, seen := reader{p.Dictionary()}, map[string]bool{}
	for _, rp := range p.ResourceProfiles().All() {
		name, _ := rp.Resource().Attributes().Get("resource")
		require.False(t, seen[name.Str()], "resource %q", name.Str())
		seen[name.Str()] = true
		for _, s := range rp.ScopeProfiles().At(0).Profiles().At(0).Samples().All() {
			var keys []string
			for _, i := range s.AttributeIndices().AsRaw() {
				keys = append(keys, r.text(r.AttributeTable().At(int(i)).KeyStrindex()))
			}
			require.IsIncreasing(t, append([]string{""}, keys...))
		}
	}
}

func requireSorted(t require.TestingT, p pprofile.Profiles) {
	for _, rp := range p.ResourceProfiles().All() {
		for _, s := range rp.ScopeProfiles().At(0).Profiles().At(0).Samples().All() {
			require.True(t, slices.IsSorted(s.TimestampsUnixNano().AsRaw()))
		}
	}
}
