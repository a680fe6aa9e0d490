// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/profile"
)

// ResourceBy says what a resource is.
type ResourceBy string

// What a resource can be: a process (an instance and generation), a container with all of its
// processes, with one for what is in none, or the host.
const (
	ByProcess   ResourceBy = "process"
	ByContainer ResourceBy = "container"
	ByHost      ResourceBy = "host"
)

// Resources are all of them.
var Resources = []ResourceBy{ByProcess, ByContainer, ByHost}

// What samples can have as attributes.
const (
	ThreadName = "thread.name"
	ThreadID   = "thread.id"
	CPUNumber  = "cpu.logical_number"
	StackEnd   = "ebpf_profiler.stack_end"
)

// OfSamples are all of them.
var OfSamples = []string{ThreadName, ThreadID, CPUNumber, StackEnd}

// Placement says which attributes there are and where: what is not of a resource is on its
// samples.
type Placement struct {
	ResourceBy ResourceBy
	// Service repeats service.name on the samples of a process.
	Service bool
	// Samples are some of OfSamples.
	Samples []string
}

// place gives an owner the attributes of its process.
func (p Placement) place(o *profile.Owner, all []profile.Attribute) {
	o.Attributes, o.OnSamples = nil, nil
	for _, a := range all {
		if p.ofResource(a.Key()) {
			o.Attributes = append(o.Attributes, a)
		}
		if p.ofSamples(a.Key()) {
			o.OnSamples = append(o.OnSamples, a)
		}
	}
	switch p.ResourceBy {
	case ByContainer:
		o.Group = "container"
		for _, a := range o.Attributes {
			o.Group += " " + a.Text()
		}
	case ByHost:
		o.Group = "host"
	}
}

func (p Placement) ofResource(key string) bool {
	switch p.ResourceBy {
	case ByContainer:
		return key == containerID
	case ByHost:
		return false
	}
	return true
}

func (p Placement) ofSamples(key string) bool {
	return !p.ofResource(key) || p.Service && key == serviceName
}

// labels are those of a sample.
func (p Placement) labels(s *event.Sample) profile.Labels {
	l := profile.Labels{Link: s.Link}
	if slices.Contains(p.Samples, ThreadName) {
		l.Thread = s.Comm
	}
	if slices.Contains(p.Samples, ThreadID) {
		l.ThreadID = s.TID
	}
	if slices.Contains(p.Samples, CPUNumber) {
		l.CPU = s.CPU + 1
	}
	if slices.Contains(p.Samples, StackEnd) {
		l.End = s.UserStack + 1
	}
	return l
}
