// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package event

import "strings"

// File identifies the contents of a file on this host: the file, and when it was
// last changed. Comparable; zero: no file.
type File struct {
	Device, Inode uint64
	// ChangeTime is the inode's ctime in nanoseconds, which programs cannot set.
	ChangeTime int64
	Size       int64
	// Generation tells inodes of one number apart. Only the kernel's records of
	// mappings have it; they lack ChangeTime and Size.
	Generation uint64
}

// Recorded reports whether only a record of the kernel tells of the file: it may have
// been changed since.
func (f File) Recorded() bool { return f != File{} && f.ChangeTime == 0 }

// Mapping is a range of executable memory of a process.
type Mapping struct {
	// Start is the first address, End the first one behind.
	Start, End uint64
	// Offset is where Start lies in the file.
	Offset uint64
	// Path is the file's in the process' mount namespace, or a name such as
	// "[vdso]", or empty.
	Path string
	// BuildID is the file's GNU build ID in hex; empty: not known.
	BuildID string
	// File is zero for memory without a file, and if it is not known.
	File File
}

// KernelCode says that the kernel made code at run time, or dropped it: a BPF program or
// a trampoline.
type KernelCode struct {
	KTime KTime
	// Start is the first address, End the first one behind.
	Start, End uint64
	Name       string
	// BPF: it is of BPF. Gone: it was dropped.
	BPF, Gone bool
}

// VDSO reports whether the kernel's code for 64-bit processes is mapped, from its first
// byte on. That of a 32-bit process has the same name, in the memory that such a process
// can reach.
func (m *Mapping) VDSO() bool { return m.Path == VDSO && m.File == File{} && m.Start>>32 != 0 }

// Made reports whether code in it may have been made at run time: it is in no file, or in
// memory that looks like one (memfd_create as .NET uses it, shared memory), and there is no
// build ID.
func (m *Mapping) Made() bool {
	switch {
	case m.BuildID != "" || m.Path == VDSO || m.Path == vsyscall:
		return false
	case m.File == File{}:
		return m.Path == "" || strings.HasPrefix(m.Path, "[")
	}
	return strings.HasPrefix(m.Path, "/memfd:") || strings.HasPrefix(m.Path, "/SYSV") || m.Path == "/dev/zero"
}

// FileID names what is behind mappings: by build ID if there is one, else by file.
// Comparable; zero: no file.
type FileID struct {
	BuildID string
	File    File
}

// VDSO is the path of the code that the kernel maps into every process, and the build ID
// that stands for the one of 64-bit processes, which is the same for all.
const VDSO = "[vdso]"

// vsyscall is the path of what the kernel had before it.
const vsyscall = "[vsyscall]"

// ID names the file that is mapped.
func (m *Mapping) ID() FileID {
	switch {
	case m.BuildID != "":
		return FileID{BuildID: m.BuildID}
	case m.VDSO():
		return FileID{BuildID: VDSO}
	}
	return FileID{File: m.File}
}

// InFile reports whether there is a file to read, or the kernel's own code.
func (m *Mapping) InFile() bool { return m.ID() != FileID{} }

// Mapped says that a process mapped executable memory. It names the process by a
// PID only: whose that was at the time, lifecycle events tell.
type Mapped struct {
	KTime KTime
	PID   uint32
	Mapping
}
