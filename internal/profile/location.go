// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

// Location is what a Resolver knows of a Frame.
type Location struct {
	Mapping Mapping
	Address uint64
	// Lines are the function at the address and, behind it, the functions it was
	// inlined into. None: nobody could tell.
	Lines []Line
	// FrameType is a well-known value of profile.frame.type. Backends reject
	// whole batches for a location without one.
	FrameType string
	// Pending: what names it is still being read.
	Pending bool
}

// Line is a place in a function. Only Function is always known.
type Line struct {
	// Function is as the binary has it, mangled if it is.
	Function string
	File     string
	Number   int64
}

// Mapping is what a binary looks like in the memory of a process. Its zero value
// says that nothing is known.
type Mapping struct {
	Start, Limit, Offset uint64
	Filename             string
	// The build IDs are empty when unknown. A mapping with none of them is sent
	// with its file name and no attributes.
	GNUBuildID, GoBuildID, HTLHash string
}

// Resolver turns frames into locations. It has to give the same answer for the
// same frame for as long as a window's batches are built.
type Resolver interface {
	Resolve(Frame) Location
}
