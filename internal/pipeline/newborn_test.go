// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/filter"
)

// TestFilesOfTheNewbornAreAskedForAtOnce: before a completion, and in whatever order the
// buffers tell of them.
func TestFilesOfTheNewbornAreAskedForAtOnce(t *testing.T) {
	fork := event.Lifecycle{Kind: event.Fork, KTime: 1010 * ms, Proc: event.ProcID{PID: 7, Start: 7}, Parent: event.ProcID{PID: 3}}
	for name, batches := range map[string][]*event.Batch{
		"mapped first":  {{Lifecycle: []event.Lifecycle{fork}}, {Mapped: []event.Mapped{mappedAt(1020*ms, 0x1000, 0x2000, "/x")}}, batch(sample(1030*ms, 7))},
		"sampled first": {{Lifecycle: []event.Lifecycle{fork}}, batch(sample(1030*ms, 7)), {Mapped: []event.Mapped{mappedAt(1020*ms, 0x1000, 0x2000, "/x")}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPipeline()
			for _, b := range batches {
				require.Empty(t, p.FileRequests(9))
				p.Batch(b)
			}
			requests := p.FileRequests(9)
			require.Len(t, requests, 1)
			require.Equal(t, "/x", requests[0].Mapping.Path)
			require.Equal(t, [2]uint32{7, 3}, requests[0].PIDs)
		})
	}
	// Files of who is not sampled, or has lived for a while, can wait.
	p := newPipeline()
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{fork}, Mapped: []event.Mapped{mappedAt(1020*ms, 0x1000, 0x2000, "/x")}})
	p.Complete(1100 * ms)
	p.Batch(batch(sample(1130*ms, 7)))
	require.Empty(t, p.FileRequests(9))
}

// Nothing is asked for who is out, as far as the records that have come tell.
func TestFilesOfTheNewbornThatAreOutAreNotAskedFor(t *testing.T) {
	born := fork(1010*ms, 7, 0, 'a')
	exec := event.Lifecycle{Kind: event.Exec, KTime: 1020 * ms, Proc: born.Proc, Generation: 1, Comm: event.Comm{'b'}}
	mapped := []event.Mapped{mappedAt(1030*ms, 0x1000, 0x2000, "/lib"), mappedAt(1025*ms, 0x3000, 0x4000, "/x"), mappedAt(1015*ms, 0x1000, 0x2000, "/old")}
	for _, tt := range []struct {
		rules filter.Rules
		want  int
	}{
		{filter.Rules{}, 3},
		{filter.Rules{Include: []filter.Rule{{Executable: "/x"}}}, 3},
		{filter.Rules{Include: []filter.Rule{{Executable: "/lib"}}}, 0},
		{filter.Rules{Exclude: []filter.Rule{{Executable: "/x"}}}, 0},
		{filter.Rules{Exclude: []filter.Rule{{Executable: "/old"}}}, 3},
		{filter.Rules{Exclude: []filter.Rule{{Comm: "b"}}}, 0},
		{filter.Rules{Exclude: []filter.Rule{{Comm: "a"}}}, 3},
		{filter.Rules{Include: []filter.Rule{{Cgroup: "/not/known/yet"}}}, 3},
	} {
		p := filtering(tt.rules, 0)
		p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{born, exec}, Mapped: mapped, Samples: []event.Sample{sample(1040*ms, 7)}})
		require.Len(t, p.FileRequests(9), tt.want, "%+v", tt.rules)
	}
}
