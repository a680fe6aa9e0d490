// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
)

func containerOf(t *testing.T, w *Window) string {
	t.Helper()
	for b := range w.Batches(profile.Settings{Period: time.Second, MaxBatchBytes: 1 << 20}, w) {
		id, _ := b.Profiles.ResourceProfiles().At(0).Resource().Attributes().Get("container.id")
		return id.Str()
	}
	require.FailNow(t, "an empty window")
	return ""
}

// The group tells the container of a process that nobody could read.
func TestTheContainerOfAGroup(t *testing.T) {
	p := newPipeline()
	s := sample(1500*ms, 7)
	p.Batch(&event.Batch{
		Samples:   []event.Sample{s},
		Lifecycle: []event.Lifecycle{{Kind: event.Fork, KTime: 1400 * ms, Proc: s.Proc, Cgroup: event.CgroupID{Unified: 5}}},
	})
	require.Equal(t, []event.CgroupID{{Unified: 5}}, p.GroupRequests(9))
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{{Kind: event.Exec, KTime: 1410 * ms, Proc: s.Proc, Cgroup: event.CgroupID{Unified: 5}}}})
	require.Empty(t, p.GroupRequests(9), "it was asked for")
	p.GroupFound(event.CgroupID{Unified: 5}, Group{Container: "c5"})
	closed := p.Complete(2000 * ms)
	require.Len(t, closed, 1)
	require.Equal(t, "c5", containerOf(t, closed[0]))
}

// A process may be forgotten before its group is answered for.
func TestAnAnswerAfterTheEviction(t *testing.T) {
	p := newPipeline()
	s := sample(1500*ms, 7)
	p.Batch(&event.Batch{
		Samples: []event.Sample{s},
		Lifecycle: []event.Lifecycle{
			{Kind: event.Fork, KTime: 1400 * ms, Proc: s.Proc, Cgroup: event.CgroupID{Unified: 5}},
			{Kind: event.Exit, KTime: 1510 * ms, Proc: s.Proc, Cgroup: event.CgroupID{Unified: 5}},
			{Kind: event.Free, KTime: 1520 * ms, Proc: s.Proc, Cgroup: event.CgroupID{Unified: 5}},
		},
	})
	require.Empty(t, p.Complete(1600*ms))
	require.Len(t, p.Freed(), 1)
	p.GroupFound(event.CgroupID{Unified: 5}, Group{Container: "c5"})
	require.Equal(t, "c5", containerOf(t, p.Complete(2000 * ms)[0]))
}

// What /proc says of a fork that was not read yet is its parent's.
func TestTheGroupKnowsBetterThanTheImage(t *testing.T) {
	for id, want := range map[string]string{"": "read", "c5": "c5"} {
		p := newPipeline()
		s := sample(1500*ms, 7)
		p.Batch(&event.Batch{
			Samples:   []event.Sample{s},
			Lifecycle: []event.Lifecycle{{Kind: event.Fork, KTime: 1400 * ms, Proc: s.Proc, Cgroup: event.CgroupID{Unified: 5}}},
		})
		p.GroupFound(event.CgroupID{Unified: 5}, Group{Container: id})
		for _, r := range p.Requests(9) {
			p.Answer(process.Answer{
				Request: r, From: 1600 * ms, To: 1610 * ms, StartTick: uint64(s.Proc.Start) / 10_000_000,
				Image: &process.Image{Executable: "/bin/x", ContainerID: "read"},
			})
		}
		closed := p.Complete(2000 * ms)
		require.Equal(t, want, containerOf(t, closed[0]))
	}
}

// A group that was forgotten for lack of room is looked up again for the samples of its
// processes.
func TestAForgottenGroupIsAskedForAgain(t *testing.T) {
	p := newPipeline()
	group, s := event.CgroupID{Unified: 5}, sample(1500*ms, 7)
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{{Kind: event.Fork, KTime: 1400 * ms, Proc: s.Proc, Cgroup: group}}})
	require.Len(t, p.GroupRequests(9), 1)
	p.GroupFound(group, Group{Container: "c5"})
	clear(p.groups.known)
	p.Batch(batch(s))
	p.Complete(1600 * ms)
	require.Equal(t, []event.CgroupID{group}, p.GroupRequests(9))
	p.GroupFound(group, Group{Container: "c5"})
	require.Equal(t, "c5", containerOf(t, p.Complete(2000 * ms)[0]))
}

func TestGroupsAreBounded(t *testing.T) {
	c := newContainers()
	c.want(event.CgroupID{})
	require.Empty(t, c.requests(9), "no group")
	for i := range 3 * maxGroups {
		c.want(event.CgroupID{Legacy: uint64(i + 1)})
		require.LessOrEqual(t, len(c.known), maxGroups)
		require.Len(t, c.requests(9), 1)
		c.found(event.CgroupID{Legacy: uint64(i + 1)}, Group{Container: "c"})
	}
	require.NotContains(t, c.known, event.CgroupID{Legacy: 1})
	for i := range 2 * maxGroups {
		c.want(event.CgroupID{Unified: uint64(i + 1)})
	}
	require.Len(t, c.asked, maxGroups, "of those that nobody answers for")
	require.Len(t, c.requests(3*maxGroups), maxGroups)
}
