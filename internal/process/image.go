// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"sort"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Image is what one generation of an instance executes, as /proc showed it.
// Immutable, so lives may share it.
type Image struct {
	Executable  string
	ContainerID string
	ParentPID   uint32
	// CommandArgs and Environment are what it was started with, if asked for.
	CommandArgs []string
	Environment map[string]string
	// Mappings are the executable ones, ascending and without overlap.
	Mappings []event.Mapping
}

// Find returns the mapping that holds addr.
func (im *Image) Find(addr uint64) (*event.Mapping, bool) {
	if im == nil {
		return nil, false
	}
	i := sort.Search(len(im.Mappings), func(i int) bool { return im.Mappings[i].End > addr })
	if i == len(im.Mappings) || im.Mappings[i].Start > addr {
		return nil, false
	}
	return &im.Mappings[i], true
}
