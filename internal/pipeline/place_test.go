// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
)

// told lists the resources of a window, and below each the attributes of its samples, of both
// without what differs from run to run.
func told(w *Window) (out []string) {
	skip := []string{"process.creation.time", "process.executable.name"}
	for b := range w.Batches(profile.Settings{Period: time.Second, MaxBatchBytes: 1 << 20}, w) {
		d := b.Profiles.Dictionary()
		for _, rp := range b.Profiles.ResourceProfiles().All() {
			line := "resource"
			for key, value := range rp.Resource().Attributes().All() {
				if !slices.Contains(skip, key) {
					line += fmt.Sprintf(" %s=%s", key, value.AsString())
				}
			}
			out = append(out, line)
			for _, s := range rp.ScopeProfiles().At(0).Profiles().At(0).Samples().All() {
				line := fmt.Sprintf("  %d of", s.TimestampsUnixNano().Len())
				for _, i := range s.AttributeIndices().All() {
					a := d.AttributeTable().At(int(i))
					if key := d.StringTable().At(int(a.KeyStrindex())); !slices.Contains(skip, key) {
						line += fmt.Sprintf(" %s=%s", key, a.Value().AsString())
					}
				}
				out = append(out, line)
			}
		}
	}
	return out
}

// Two processes are in one container, one of them is forgotten before its group is answered
// for; one is in none. Nothing is told of the last.
func TestPlacement(t *testing.T) {
	for _, c := range []struct {
		Placement
		want []string
	}{
		{Placement{ResourceBy: ByProcess, Samples: []string{ThreadName}}, []string{
			"resource", "  1 of thread.name=t",
			"resource container.id=c process.pid=7", "  2 of thread.name=t",
			"resource container.id=c process.pid=8", "  1 of thread.name=t",
			"resource process.pid=9", "  1 of thread.name=t",
		}},
		{Placement{ResourceBy: ByContainer, Samples: []string{ThreadID, StackEnd}}, []string{
			"resource", "  1 of ebpf_profiler.stack_end=frame_pointers thread.id=5", "  1 of ebpf_profiler.stack_end=frame_pointers process.pid=9 thread.id=9",
			"resource container.id=c", "  1 of ebpf_profiler.stack_end=frame_pointers process.pid=7 thread.id=7",
			"  1 of ebpf_profiler.stack_end=complete process.pid=7 thread.id=7", "  1 of ebpf_profiler.stack_end=frame_pointers process.pid=8 thread.id=8",
		}},
		{Placement{ResourceBy: ByHost, Samples: []string{CPUNumber}}, []string{
			"resource", "  1 of cpu.logical_number=0",
			"  1 of container.id=c cpu.logical_number=0 process.pid=7", "  1 of container.id=c cpu.logical_number=3 process.pid=7",
			"  1 of container.id=c cpu.logical_number=0 process.pid=8", "  1 of cpu.logical_number=0 process.pid=9",
		}},
	} {
		t.Run(string(c.ResourceBy), func(t *testing.T) {
			p := New(Settings{Start: start, Interval: time.Second, MaxHoldBytes: 1 << 20, MaxProcesses: 100, Placement: c.Placement})
			group := event.CgroupID{Unified: 5}
			samples := []event.Sample{sample(1500*ms, 7), sample(1501*ms, 7), sample(1502*ms, 8), sample(1503*ms, 9), sample(1504*ms, 5)}
			samples[1].CPU, samples[1].UserStack = 3, event.UserComplete
			samples[4].Proc = event.ProcID{}
			b := &event.Batch{Samples: samples}
			for _, s := range samples[:4] {
				b.Lifecycle = append(b.Lifecycle, event.Lifecycle{Kind: event.Fork, KTime: 1400 * ms, Proc: s.Proc, Cgroup: group})
			}
			b.Lifecycle[3].Cgroup = event.CgroupID{Unified: 6}
			for _, kind := range []event.Kind{event.Exit, event.Free} {
				b.Lifecycle = append(b.Lifecycle, event.Lifecycle{Kind: kind, KTime: 1600 * ms, Proc: samples[0].Proc, Cgroup: group})
			}
			p.Batch(b)
			require.Empty(t, p.Complete(1700*ms))
			require.Len(t, p.Freed(), 1)
			p.GroupFound(group, Group{Container: "c"})
			p.GroupFound(event.CgroupID{Unified: 6}, Group{})
			closed := p.Complete(2000 * ms)
			require.Len(t, closed, 1)
			require.Equal(t, c.want, told(closed[0]))
		})
	}
}

// The service of a process is on its samples too, if that is asked for.
func TestTheServiceOnSamples(t *testing.T) {
	all := []profile.Attribute{profile.IntAttribute("process.pid", 7), profile.StringAttribute("service.name", "till")}
	for on, want := range map[bool][]profile.Attribute{true: all[1:], false: nil} {
		var o profile.Owner
		Placement{ResourceBy: ByProcess, Service: on}.place(&o, all)
		require.Equal(t, all, o.Attributes)
		require.Equal(t, want, o.OnSamples)
		require.Empty(t, o.Group)
	}
}
