// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"

// maxGroups bounds the control groups that are known, and those that are asked for. At the
// limit all are asked for again, as processes of them come up, or have samples.
const maxGroups = 16384

// Group is what is known of a control group.
type Group struct {
	// Path is where it is in the hierarchy of version 2; "": not known.
	Path string
	// Container is the ID of the container that it is of; "": of none, or not known.
	Container string
	// Told: all hierarchies were asked, so without Container it is of none.
	Told bool
}

// containers knows which container a control group is of.
type containers struct {
	// known is empty for groups that could not be read or were not yet.
	known map[event.CgroupID]Group
	queue []event.CgroupID
	// asked are those without an answer.
	asked map[event.CgroupID]struct{}
}

func newContainers() *containers {
	return &containers{known: map[event.CgroupID]Group{}, asked: map[event.CgroupID]struct{}{}}
}

// want asks for a group when it comes up first: its processes may be gone soon,
// and the group with them.
func (c *containers) want(group event.CgroupID) {
	if group == (event.CgroupID{}) {
		return
	}
	if _, ok := c.known[group]; ok || len(c.asked) >= maxGroups {
		return
	}
	if len(c.known) >= maxGroups {
		clear(c.known)
	}
	c.known[group] = Group{}
	c.asked[group] = struct{}{}
	c.queue = append(c.queue, group)
}

func (c *containers) requests(n int) []event.CgroupID {
	n = min(n, len(c.queue))
	out := c.queue[:n:n]
	c.queue = c.queue[n:]
	return out
}

func (c *containers) found(group event.CgroupID, g Group) {
	delete(c.asked, group)
	if g != (Group{}) {
		c.known[group] = g
	}
}

// waits reports whether a group is still looked up.
func (c *containers) waits(group event.CgroupID) bool {
	_, ok := c.asked[group]
	return ok
}

// of returns the container of a group, "" if none is known.
func (c *containers) of(group event.CgroupID) string { return c.known[group].Container }

// find returns what is known of a group; whatever is not is asked for.
func (c *containers) find(group event.CgroupID) Group {
	c.want(group)
	return c.known[group]
}
