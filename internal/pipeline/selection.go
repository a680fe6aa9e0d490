// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"strings"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/filter"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
)

// selection decides whose samples become profiles. A life is judged when its samples are
// attributed, and stays in or out; one of which too little is known is judged again until
// its window is handed out, and is in that window or not as a whole.
type selection struct {
	rules      filter.Rules
	minAge     event.KTime
	groups     *containers
	candidates map[*process.Life]*candidate
	// rejected and over are what the sampler is to be told: whose samples it can drop,
	// and which of those lives are no more.
	rejected, over []event.LifeID
	stats          Selection
}

// Selection counts the samples that were left out here, and why.
type Selection struct {
	// Filtered are of processes that are not to be profiled. Undecided are of those of
	// which not enough was known in time.
	Filtered, Undecided uint64
}

// candidate is a life with what its first sample told.
type candidate struct {
	life     *process.Life
	user     uint32
	verdict  filter.Verdict
	rejected bool // by the sampler
}

func newSelection(s Settings, groups *containers) *selection {
	return &selection{
		rules:      s.Filter,
		minAge:     event.KTime(s.MinAge),
		groups:     groups,
		candidates: map[*process.Life]*candidate{},
	}
}

// admit returns the verdict about a sample, and counts it here if it is out.
func (s *selection) admit(life *process.Life, sample *event.Sample, w *window) filter.Verdict {
	v := filter.In
	switch {
	case s.minAge > 0 && sample.Birth+s.minAge > w.Start():
		v = filter.Out // for the whole window
	case s.rules.Empty():
	case life.Proc.PID == 0:
		return s.admitNameless(sample)
	default:
		v = s.admitLife(life, sample, w)
	}
	if v == filter.Out {
		s.stats.Filtered++
	}
	return v
}

func (s *selection) admitLife(life *process.Life, sample *event.Sample, w *window) filter.Verdict {
	c := s.candidates[life]
	if c == nil {
		c = &candidate{life: life, user: sample.UID, verdict: filter.Undecided}
		s.candidates[life] = c
	}
	v := s.judge(c)
	if v == filter.Undecided {
		w.undecided[c] = w.owner(life)
	}
	return v
}

// admitNameless is about processes beyond the limit, of which nothing is kept: what all of
// their samples tell alike decides.
func (s *selection) admitNameless(sample *event.Sample) filter.Verdict {
	switch s.rules.Judge(&filter.Process{PID: sample.Proc.PID, User: sample.UID}) {
	case filter.In:
		return filter.In
	case filter.Undecided:
		s.stats.Undecided++
	default:
		s.stats.Filtered++
	}
	return filter.Out
}

// judge decides about a candidate if it can.
func (s *selection) judge(c *candidate) filter.Verdict {
	if c.verdict != filter.Undecided {
		return c.verdict
	}
	c.verdict = s.rules.Judge(s.describe(c))
	if c.rejected = c.verdict == filter.Out && c.life.Current(); c.rejected {
		s.rejected = append(s.rejected, c.id())
	}
	return c.verdict
}

// describe says what is known of a candidate now.
func (s *selection) describe(c *candidate) *filter.Process {
	life, image := c.life, c.life.Image()
	p := &filter.Process{PID: life.Proc.PID, User: c.user}
	if comm := life.Comm.String(); comm != "" {
		p.Comm = filter.Known(comm)
	}
	if path := life.Executable(); path != "" || life.Worker {
		p.Executable = filter.Known(strings.TrimSuffix(path, " (deleted)"))
	}
	group := s.groups.find(life.Cgroup)
	switch {
	case group.Path != "":
		p.Cgroup = filter.Known(group.Path)
	case image != nil: // "": there is no hierarchy of version 2
		p.Cgroup = filter.Known(image.Cgroup)
	}
	switch {
	case group.Container != "" || group.Told:
		p.Container = filter.Known(group.Container)
	case image != nil:
		p.Container = filter.Known(image.ContainerID)
	}
	return p
}

func (c *candidate) id() event.LifeID {
	return event.LifeID{Proc: c.life.Proc, Generation: c.life.Generation}
}

// settle drops the samples of the window that are not to be delivered.
func (s *selection) settle(w *window) {
	for c, owner := range w.undecided {
		switch s.judge(c) {
		case filter.Out:
			s.stats.Filtered += w.Drop(owner)
		case filter.Undecided:
			s.stats.Undecided += w.Drop(owner)
		}
	}
}

// forget drops lives that are over.
func (s *selection) forget(lives []*process.Life) {
	for _, life := range lives {
		if c := s.candidates[life]; c != nil && c.rejected {
			s.over = append(s.over, c.id())
		}
		delete(s.candidates, life)
	}
}
