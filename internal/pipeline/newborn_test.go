// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/filter"
)

// TestFilesOfTheNewbornAreAskedForAtOnce: before a completion, and in whatever order the
// buffers tell of them.
func TestFilesOfTheNewbornAreAskedForAtOnce(t *testing.T) {
	fork := event.Lifecycle{Kind: event.Fork, KTime: 1010 * ms, Proc: event.ProcID{PID: 7, Start: 7}, Parent: event.ProcID{PID: 3}}
	exec := event.Lifecycle{Kind: event.Exec, KTime: 1015 * ms, Proc: fork.Proc, Cgroup: event.CgroupID{Unified: 5}}
	for name, batches := range map[string][]*event.Batch{
		"mapped first":  {{Lifecycle: []event.Lifecycle{fork, exec}}, {Mapped: []event.Mapped{mappedAt(1020*ms, 0x1000, 0x2000, "/x")}}, batch(sample(1030*ms, 7))},
		"sampled first": {{Lifecycle: []event.Lifecycle{fork, exec}}, batch(sample(1030*ms, 7)), {Mapped: []event.Mapped{mappedAt(1020*ms, 0x1000, 0x2000, "/x")}}},
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
			require.Equal(t, Holders{[2]uint32{7, 3}, event.CgroupID{Unified: 5}}, requests[0].Holders)
		})
	}
	// Files of who is not sampled, or has lived for a while, can wait.
	p := newPipeline()
	p.Batch(&event.Batch{Lifecycle: []event.Lifecycle{fork}, Mapped: []event.Mapped{mappedAt(1020*ms, 0x1000, 0x2000, "/x")}})
	p.Complete(1100 * ms)
	p.Batch(batch(sample(1130*ms, 7)))
	require.Empty(t, p.FileRequests(9))
}

// Those beyond the bounds are asked for at the completion.
func TestNewbornsAreBounded(t *testing.T) {
	n := newborns{code: newCode(1 << 20), born: map[uint32]*newborn{}}
	born := &event.Batch{}
	for i := range uint32(2 * maxNewborns) {
		born.Lifecycle = append(born.Lifecycle, event.Lifecycle{Kind: event.Fork, Proc: event.ProcID{PID: 1 + i}})
	}
	for i := range uint64(2 * maxNewbornFiles) {
		born.Mapped = append(born.Mapped, event.Mapped{PID: 1, Mapping: event.Mapping{Path: "/x", BuildID: fmt.Sprint(i)}})
	}
	n.observe(born)
	require.Len(t, n.born, maxNewborns)
	n.observe(&event.Batch{Samples: []event.Sample{{Proc: event.ProcID{PID: 1}}, {Proc: event.ProcID{PID: 2 * maxNewborns}}}})
	require.Len(t, n.code.requests(9*maxNewbornFiles), maxNewbornFiles)
	n.complete()
	require.Empty(t, n.born)
}

// Nothing is asked for who is out, as far as the records that have come tell.
func TestFilesOfTheNewbornThatAreOutAreNotAskedFor(t *testing.T) {
	born := fork(1010*ms, 7, event.CgroupID{}, 'a')
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
