// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// TestGolden shows what a small window becomes.
func TestGolden(t *testing.T) {
	w := NewWindow(1000, 2000)
	young := &Owner{Start: 9, PID: 3, Attributes: []Attribute{
		StringAttribute("process.executable.name", "late"), IntAttribute("process.pid", 3),
		ListAttribute("process.command_args", []string{"late", "", "-x"}),
	}}
	old := &Owner{Start: 5, PID: 8, Attributes: []Attribute{
		IntAttribute("process.pid", 8), StringAttribute("process.executable.name", "early"),
	}}
	w.Add(young, thread("main"), 1500, []Frame{{1, 2}, {1, 4}})
	w.Add(old, thread("io"), 1400, []Frame{{0, 6}, {1, 2}, {1, 4}})
	w.Add(old, Labels{}, 1300, []Frame{{2, 8}})
	w.Add(old, thread("io"), 1200, []Frame{{0, 7}, {1, 2}, {1, 4}}) // another frame, the same location
	w.Add(young, thread("main"), 2000, []Frame{{1, 2}, {1, 4}})

	s := testSettings
	s.WallOffset = 1_000_000
	batches := collect(w, s, fakeResolver{})
	require.Len(t, batches, 1)
	require.Equal(t, strings.TrimPrefix(`
resource {"process.executable.name":"early","process.pid":8}
  scope test/scope 1.2.3: samples/count every 52631578 cpu/nanoseconds, [1001001, +1000)
  sample {thread.name: io} [1001200 1001400]
    f3 0x1003 kernel in [kernel] 0x0-0x0+0x0 {}
    m1 (_m1) 1.cc:1 inlined into f2 caller.cc:1 0x1001 native in app 0x1000-0x9000+0x200 {gnu: abc, go: go/1, htlhash: 00112233445566778899aabbccddeeff}
    f2 0x1002 native in app 0x1000-0x9000+0x200 {gnu: abc, go: go/1, htlhash: 00112233445566778899aabbccddeeff}
  sample {} [1001300]
    ? 0x1004 native in lib2 0x1000-0x9000+0x0 {}
resource {"process.command_args":[]interface {}{"late", "", "-x"},"process.executable.name":"late","process.pid":3}
  scope test/scope 1.2.3: samples/count every 52631578 cpu/nanoseconds, [1001001, +1000)
  sample {thread.name: main} [1001500 1002000]
    m1 (_m1) 1.cc:1 inlined into f2 caller.cc:1 0x1001 native in app 0x1000-0x9000+0x200 {gnu: abc, go: go/1, htlhash: 00112233445566778899aabbccddeeff}
    f2 0x1002 native in app 0x1000-0x9000+0x200 {gnu: abc, go: go/1, htlhash: 00112233445566778899aabbccddeeff}
strings 19, functions 5, mappings 4, locations 5, stacks 4, attributes 8, links 1
`, "\n"), render(batches[0].Profiles))
}

// render writes profiles as text, with all indices resolved.
func render(p pprofile.Profiles) string {
	var out strings.Builder
	d := reader{p.Dictionary()}
	for _, rp := range p.ResourceProfiles().All() {
		attributes := resourceText(rp)
		sp := rp.ScopeProfiles().At(0)
		profile := sp.Profiles().At(0)
		fmt.Fprintf(&out, "resource %s\n  scope %s %s: %s/%s every %d %s/%s, [%d, +%d)\n", attributes,
			sp.Scope().Name(), sp.Scope().Version(),
			d.text(profile.SampleType().TypeStrindex()), d.text(profile.SampleType().UnitStrindex()), profile.Period(),
			d.text(profile.PeriodType().TypeStrindex()), d.text(profile.PeriodType().UnitStrindex()),
			profile.Time(), profile.DurationNano())
		for _, s := range profile.Samples().All() {
			d.renderSample(&out, s)
		}
	}
	fmt.Fprintf(&out, "strings %d, functions %d, mappings %d, locations %d, stacks %d, attributes %d, links %d\n",
		d.StringTable().Len(), d.FunctionTable().Len(), d.MappingTable().Len(), d.LocationTable().Len(),
		d.StackTable().Len(), d.AttributeTable().Len(), d.LinkTable().Len())
	return out.String()
}

func (r reader) renderSample(out *strings.Builder, s pprofile.Sample) {
	fmt.Fprintf(out, "  sample %s %v\n", braces(r.attributes(s.AttributeIndices().AsRaw())), s.TimestampsUnixNano().AsRaw())
	for _, i := range r.StackTable().At(int(s.StackIndex())).LocationIndices().All() {
		l, m := r.location(i), r.MappingTable().At(int(r.LocationTable().At(int(i)).MappingIndex()))
		name := "?"
		for i, line := range r.LocationTable().At(int(i)).Lines().All() {
			f := r.FunctionTable().At(int(line.FunctionIndex()))
			if i == 0 {
				name = r.text(f.NameStrindex())
			} else {
				name += " inlined into " + r.text(f.NameStrindex())
			}
			if system := r.text(f.SystemNameStrindex()); system != "" {
				name += fmt.Sprintf(" (%s)", system)
			}
			if file := r.text(f.FilenameStrindex()); file != "" {
				name += fmt.Sprintf(" %s:%d", file, line.Line())
			}
		}
		fmt.Fprintf(out, "    %s %#x %s in %s %#x-%#x+%#x %s\n", name, l.Address, l.FrameType,
			l.Mapping.Filename, l.Mapping.Start, l.Mapping.Limit, l.Mapping.Offset,
			braces(r.attributes(m.AttributeIndices().AsRaw())))
	}
}

// resourceText returns the attributes in the order they have in the message.
func resourceText(rp pprofile.ResourceProfiles) string {
	var texts []string
	for key, value := range rp.Resource().Attributes().All() {
		texts = append(texts, fmt.Sprintf("%q:%#v", key, value.AsRaw()))
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// braces returns attributes by key, build IDs without their long prefix.
func braces(attributes map[string]string) string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		short := strings.TrimPrefix(key, "process.executable.build_id.")
		texts = append(texts, short+": "+attributes[key])
	}
	return "{" + strings.Join(texts, ", ") + "}"
}
