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
	thread string
	link   event.Link
	ktime  event.KTime
	stack  []Frame
}

// testLinks share a trace, a span, and neither; most samples have none.
var testLinks = []event.Link{
	{}, {}, {}, {Trace: [16]byte{1}, Span: [8]byte{1}}, {Trace: [16]byte{1}, Span: [8]byte{2}}, {Trace: [16]byte{2}, Span: [8]byte{2}},
}

// drawOwners draws owners with distinct values of the attribute "owner".
func drawOwners(t *rapid.T) []*Owner {
	owners := make([]*Owner, rapid.IntRange(1, 12).Draw(t, "owners"))
	for i := range owners {
		owners[i] = &Owner{
			Start:      event.BootTime(rapid.IntRange(0, 3).Draw(t, "start")),
			PID:        uint32(rapid.IntRange(0, 3).Draw(t, "pid")),
			Generation: event.Generation(rapid.IntRange(0, 3).Draw(t, "generation")),
			Attributes: []Attribute{
				StringAttribute("owner", fmt.Sprint(i)),
				StringAttribute(keyService, rapid.SampledFrom([]string{"", "shop", "till"}).Draw(t, "service")),
				IntAttribute("process.pid", rapid.Int64().Draw(t, "int")),
				StringAttribute("name", string(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "name"))),
				ListAttribute("list", rapid.SliceOfN(rapid.StringN(0, 9, 20), 0, 12).Draw(t, "list")),
			},
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
			thread: rapid.SampledFrom([]string{"", "main", "worker", "\xff\xfe"}).Draw(t, "thread"),
			link:   rapid.SampledFrom(testLinks).Draw(t, "link"),
			// A little outside of the window, too.
			ktime: event.KTime(rapid.Uint64Range(uint64(windowStart)-10, uint64(windowEnd)+10).Draw(t, "ktime")),
			stack: rapid.SampledFrom(stacks).Draw(t, "stack"),
		}
	})
	return rapid.SliceOfN(one, 0, 150).Draw(t, "additions")
}

func fill(owners []*Owner, additions []addition) *Window {
	w := NewWindow(windowStart, windowEnd)
	for _, a := range additions {
		w.Add(owners[a.owner], a.thread, a.link, a.ktime, a.stack)
	}
	return w
}

// oracle counts as Window and Batches should, without their tables.
func oracle(additions []addition, s Settings) map[string][]uint64 {
	want := map[string][]uint64{}
	for _, a := range additions {
		var stack []Location
		for _, f := range a.stack {
			stack = append(stack, (fakeResolver{}).Resolve(f))
		}
		text := sampleText(fmt.Sprint(a.owner), validText(a.thread), a.link, stack)
		want[text] = append(want[text], uint64(s.wall(a.ktime)))
	}
	return sorted(want)
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
		s.ServiceName = rapid.Bool().Draw(t, "service name")
		s.MaxBatchBytes = rapid.OneOf(rapid.IntRange(0, 20_000), rapid.Just(3<<20)).Draw(t, "limit")

		got := map[string][]uint64{}
		var total uint64
		first := collect(w, s, fakeResolver{})
		for _, b := range first {
			requireConformant(t, b)
			requireSorted(t, b.Profiles)
			requireServices(t, b.Profiles, s.ServiceName)
			if b.Samples > 1 {
				require.LessOrEqual(t, encodedSize(t, b.Profiles), s.MaxBatchBytes)
			}
			require.NotZero(t, b.Samples)
			total += b.Samples
			decoded, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(encode(t, b.Profiles))
			require.NoError(t, err)
			read(Batch{Profiles: decoded}, got)
		}
		require.Equal(t, oracle(additions, s), sorted(got))
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

// requireServices holds the service of each sample against that of its resource.
func requireServices(t require.TestingT, p pprofile.Profiles, on bool) {
	r := reader{p.Dictionary()}
	for _, rp := range p.ResourceProfiles().All() {
		service, _ := rp.Resource().Attributes().Get(keyService)
		for _, s := range rp.ScopeProfiles().At(0).Profiles().At(0).Samples().All() {
			got, there := r.attributes(s.AttributeIndices().AsRaw())[keyService]
			require.Equal(t, on && service.Str() != "", there)
			if there {
				require.Equal(t, service.Str(), got)
			}
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
