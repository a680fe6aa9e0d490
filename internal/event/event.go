// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package event holds the nouns that travel from the kernel through the
// pipeline: process identities, samples and lifecycle events.
package event

import (
	"bytes"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
)

// KTime is nanoseconds on CLOCK_MONOTONIC, the clock of all event stamps.
type KTime = completion.KTime

// BootTime is nanoseconds on CLOCK_BOOTTIME. It occurs only inside identities
// and is never compared with a KTime.
type BootTime uint64

// ProcID identifies one process instance for all time. PIDs are reused; a PID
// together with its start time is not.
type ProcID struct {
	// PID is what the kernel calls tgid, in the initial PID namespace.
	PID uint32
	// Start is the start_boottime of the thread group leader.
	Start BootTime
}

// Generation counts the execs of an instance: the kernel's self_exec_id. A fork
// starts with the generation of its parent.
type Generation uint64

// LifeID names one generation of one instance.
type LifeID struct {
	Proc       ProcID
	Generation Generation
}

// CgroupID names the control group of a process by the kernel's ids, none of which is
// used twice: in the hierarchy of version 2, and in one of version 1 where there are
// some. 0: not known.
type CgroupID struct{ Unified, Legacy uint64 }

// CommLen is the kernel's TASK_COMM_LEN.
const CommLen = 16

// Comm is a task name, padded with zero bytes.
type Comm [CommLen]byte

// Len is the number of bytes up to the first zero byte.
func (c *Comm) Len() int {
	if i := bytes.IndexByte(c[:], 0); i >= 0 {
		return i
	}
	return CommLen
}

// String returns the name up to its first zero byte.
func (c Comm) String() string { return string(c[:c.Len()]) }

// UserStack says why a sample has the user frames it has.
type UserStack uint8

// The kernel side decides among these; the values are part of the wire format.
const (
	// UserTaken: Sample.User is what frame pointers led to.
	UserTaken UserStack = iota
	// UserNone: a kernel thread or worker, there is no user stack.
	UserNone
	// UserExec: the task was inside exec, its registers and its memory belong to
	// different images.
	UserExec
	// UserExit: the task had given up its memory.
	UserExit
	// UserFailed: the kernel could not walk the stack.
	UserFailed
	// What follows was walked by tables. UserComplete: up to where the thread began.
	UserComplete
	// UserTruncated: it goes on beyond the limit of frames.
	UserTruncated
	// UserNoTable: code without a table, and no frame pointer in use.
	UserNoTable
	// UserBadFrame: the next frame would not be above, or lead to no code.
	UserBadFrame
	// UserUnreadable: memory of the stack could not be read.
	UserUnreadable
	// UserUnsupported: the table has no rule that is understood.
	UserUnsupported
	// UserUnmapped: a return address lies in no mapping that is known.
	UserUnmapped
	// UserStacks is how many ways there are for a stack to end.
	UserStacks

	// UserCopied: Sample.User is no stack yet but what it takes to walk one, as
	// unwind.CopyOf reads it.
	UserCopied = UserStacks
)

var userStacks = [UserStacks]string{
	UserTaken:  "frame_pointers",
	UserNone:   "no_user_code",
	UserExec:   "exec",
	UserExit:   "exit",
	UserFailed: "failed",

	UserComplete:    "complete",
	UserTruncated:   "truncated",
	UserNoTable:     "no_table",
	UserBadFrame:    "bad_frame",
	UserUnreadable:  "unreadable",
	UserUnsupported: "unsupported",
	UserUnmapped:    "unmapped",
}

// String is the name that metrics and attributes have for it, "" of what is no end.
func (u UserStack) String() string {
	if u >= UserStacks {
		return ""
	}
	return userStacks[u]
}

// Link names the span that a thread worked for, and its trace. Zero: none, else both are
// set.
type Link struct {
	Trace [16]byte
	Span  [8]byte
}

// Context says why a sample has a link or not; the values are part of the wire format.
type Context uint8

const (
	// ContextNone: the thread published none, or none is looked for.
	ContextNone Context = iota
	// ContextLinked: Sample.Link is set.
	ContextLinked
	// ContextUnreadable: what the thread published could not be read.
	ContextUnreadable
	// Contexts is how many there are.
	Contexts
)

// Sample is one tick of one CPU's clock that hit a task.
type Sample struct {
	KTime      KTime
	Proc       ProcID
	Generation Generation
	// TID is the thread's id in the initial PID namespace (kernel: pid).
	TID uint32
	CPU uint32
	// Birth is when Proc began.
	Birth KTime
	// UID is the real user id of the thread.
	UID uint32
	// Comm is the name of the thread.
	Comm Comm
	// Worker is set for tasks that never run user code (kthreads, io workers).
	Worker    bool
	UserStack UserStack
	// Kernel and User hold an address in the instruction of each frame, innermost
	// first: of callers in the call, not behind it. They alias the Batch or buffer
	// that holds the sample.
	Kernel, User []uint64
	Context      Context
	Link         Link
}

// Kind tells lifecycle events apart; the values are part of the wire format.
type Kind uint8

const (
	// Fork: Proc is a new process, a copy of Parent at ParentGeneration.
	Fork Kind = iota + 1
	// Exec: from here on Proc runs Generation; the old image is gone. It is
	// stamped before the new image's first mapping.
	Exec
	// Exit: the last thread of Proc is on its way out. From here on the PID may
	// soon name another process.
	Exit
	// Free: the kernel frees Proc; no sample of it can come after.
	Free
)

// Lifecycle is a change in the life of a process.
type Lifecycle struct {
	Kind       Kind
	KTime      KTime
	Proc       ProcID
	Generation Generation
	// Parent and ParentGeneration are set for Fork.
	Parent           ProcID
	ParentGeneration Generation
	// ParentThreads is how many threads of Parent ran, the one that forked included.
	ParentThreads uint32
	// Cgroup is where Proc was.
	Cgroup CgroupID
	// Comm is the name of the leader: at birth for Fork, the new one for Exec.
	Comm Comm
	// Worker is set in Fork for tasks that never run user code.
	Worker bool
}

// Task is a process that exists, as an iteration over all tasks shows it.
type Task struct {
	Proc       ProcID
	Generation Generation
	Cgroup     CgroupID
	Comm       Comm
	Worker     bool
	// Exiting is set when every thread has begun to exit.
	Exiting bool
}

// Batch is what one drain of the buffers brought, in no particular order. It is
// reused: who keeps a sample copies its frames.
type Batch struct {
	Samples   []Sample
	Lifecycle []Lifecycle
	Mapped    []Mapped
	Kernel    []KernelCode
	// Frames is the memory behind the samples' stacks.
	Frames []uint64
}

// Reset empties the batch and keeps its memory, but for what is far more than was of use.
func (b *Batch) Reset() {
	b.Samples, b.Lifecycle, b.Mapped = emptied(b.Samples), emptied(b.Lifecycle), emptied(b.Mapped)
	b.Kernel, b.Frames = emptied(b.Kernel), emptied(b.Frames)
}

func emptied[T any](s []T) []T {
	const small, far = 1024, 8
	if cap(s) > max(small, far*len(s)) {
		return nil
	}
	return s[:0]
}

// Empty reports whether the batch holds nothing.
func (b *Batch) Empty() bool { return len(b.Samples)+len(b.Lifecycle)+len(b.Mapped)+len(b.Kernel) == 0 }
