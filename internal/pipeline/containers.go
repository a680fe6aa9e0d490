// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"

// maxGroups bounds the control groups that are known. At the limit all are asked
// for again, as processes of them come up.
const maxGroups = 16384

// containers knows which container a control group is of.
type containers struct {
	// ids is "" for groups of no container, and for those that could not be read
	// or were not yet.
	ids   map[event.CgroupID]string
	queue []event.CgroupID
	// asked are those without an answer.
	asked map[event.CgroupID]struct{}
}

func newContainers() *containers {
	return &containers{ids: map[event.CgroupID]string{}, asked: map[event.CgroupID]struct{}{}}
}

// want asks for a group when it comes up first: its processes may be gone soon,
// and the group with them.
func (c *containers) want(group event.CgroupID) {
	if group == (event.CgroupID{}) {
		return
	}
	if _, ok := c.ids[group]; ok {
		return
	}
	if len(c.ids) >= maxGroups {
		clear(c.ids)
	}
	c.ids[group] = ""
	c.asked[group] = struct{}{}
	c.queue = append(c.queue, group)
}

func (c *containers) requests(n int) []event.CgroupID {
	n = min(n, len(c.queue))
	out := c.queue[:n:n]
	c.queue = c.queue[n:]
	return out
}

func (c *containers) found(group event.CgroupID, id string) {
	delete(c.asked, group)
	if id != "" {
		c.ids[group] = id
	}
}

// waits reports whether a group is still looked up.
func (c *containers) waits(group event.CgroupID) bool {
	_, ok := c.asked[group]
	return ok
}

// of returns the container of a group, "" if none is known.
func (c *containers) of(group event.CgroupID) string { return c.ids[group] }
