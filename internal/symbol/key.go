// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

// Key identifies the contents of a file on this host: the file, and when it was
// last changed. The zero Key stands for no file.
type Key struct {
	Device, Inode uint64
	// ChangeTime is the inode's ctime in nanoseconds, which programs cannot set.
	ChangeTime int64
	Size       int64
}
