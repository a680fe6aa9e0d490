// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package event

// File identifies the contents of a file on this host: the file, and when it was
// last changed. Comparable; zero: no file.
type File struct {
	Device, Inode uint64
	// ChangeTime is the inode's ctime in nanoseconds, which programs cannot set.
	ChangeTime int64
	Size       int64
}

// Mapping is a range of executable memory of a process.
type Mapping struct {
	// Start is the first address, End the first one behind.
	Start, End uint64
	// Offset is where Start lies in the file.
	Offset uint64
	// Path is the file's in the process' mount namespace, or a name such as
	// "[vdso]", or empty.
	Path string
	// File is zero for memory without a file, or if it could not be reached.
	File File
}
