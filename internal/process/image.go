// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import "sort"

// FileKey is the identity of a file. Comparable; zero: no file.
type FileKey struct {
	Device, Inode uint64
	ChangeTime    int64
	Size          int64
}

// Mapping is a range of executable memory.
type Mapping struct {
	// Start is the first address, End the first one behind.
	Start, End uint64
	// Offset is where Start lies in the file.
	Offset uint64
	Path   string
	// File is zero for memory without a file.
	File FileKey
}

// Image is what one generation of an instance executes, as /proc showed it.
// Immutable, so lives may share it.
type Image struct {
	Executable  string
	ContainerID string
	ParentPID   uint32
	// Mappings are the executable ones, ascending and without overlap.
	Mappings []Mapping
}

// Find returns the mapping that holds addr.
func (im *Image) Find(addr uint64) (*Mapping, bool) {
	if im == nil {
		return nil, false
	}
	i := sort.Search(len(im.Mappings), func(i int) bool { return im.Mappings[i].End > addr })
	if i == len(im.Mappings) || im.Mappings[i].Start > addr {
		return nil, false
	}
	return &im.Mappings[i], true
}
