// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"encoding/binary"
	"unsafe"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Offsets come from the types generated from the object's own type information.
const (
	headSize      = int(unsafe.Sizeof(bpf.ProfilerWireHead{}))
	lifecycleSize = int(unsafe.Sizeof(bpf.ProfilerWireLifecycle{}))
	sampleSize    = int(unsafe.Offsetof(bpf.ProfilerWireSample{}.Frames))
	maxFrames     = len(bpf.ProfilerWireSample{}.Frames) - linkSize/8
	linkSize      = int(unsafe.Sizeof(event.Link{}))

	atKTime      = int(unsafe.Offsetof(bpf.ProfilerWireHead{}.Ktime))
	atStart      = int(unsafe.Offsetof(bpf.ProfilerWireHead{}.Start))
	atGeneration = int(unsafe.Offsetof(bpf.ProfilerWireHead{}.Generation))
	atPID        = int(unsafe.Offsetof(bpf.ProfilerWireHead{}.Pid))
	atKind       = int(unsafe.Offsetof(bpf.ProfilerWireHead{}.Kind))
	atWorker     = int(unsafe.Offsetof(bpf.ProfilerWireHead{}.Worker))
	atExiting    = int(unsafe.Offsetof(bpf.ProfilerWireHead{}.Exiting))
	atUserStack  = int(unsafe.Offsetof(bpf.ProfilerWireHead{}.UserStack))
	atComm       = int(unsafe.Offsetof(bpf.ProfilerWireHead{}.Comm))

	atTID          = int(unsafe.Offsetof(bpf.ProfilerWireSample{}.Tid))
	atKernelFrames = int(unsafe.Offsetof(bpf.ProfilerWireSample{}.KernelFrames))
	atBirth        = int(unsafe.Offsetof(bpf.ProfilerWireSample{}.Birth))
	atUser         = int(unsafe.Offsetof(bpf.ProfilerWireSample{}.User))
	atContext      = int(unsafe.Offsetof(bpf.ProfilerWireSample{}.Context))
	atUserFrames   = int(unsafe.Offsetof(bpf.ProfilerWireSample{}.UserFrames))

	atParentStart      = int(unsafe.Offsetof(bpf.ProfilerWireLifecycle{}.ParentStart))
	atParentGeneration = int(unsafe.Offsetof(bpf.ProfilerWireLifecycle{}.ParentGeneration))
	atCgroup           = int(unsafe.Offsetof(bpf.ProfilerWireLifecycle{}.Cgroup))
	atLegacyCgroup     = int(unsafe.Offsetof(bpf.ProfilerWireLifecycle{}.LegacyCgroup))
	atParentPID        = int(unsafe.Offsetof(bpf.ProfilerWireLifecycle{}.ParentPid))
	atParentThreads    = int(unsafe.Offsetof(bpf.ProfilerWireLifecycle{}.ParentThreads))
)

var host = binary.NativeEndian

// decode appends a record to the batch. It returns false for a record that the
// programs of this build do not write.
func decode(record []byte, cpu uint32, batch *event.Batch) bool {
	if len(record) < headSize {
		return false
	}
	switch kind := bpf.ProfilerWireKind(record[atKind]); kind {
	case bpf.ProfilerWireKindKIND_SAMPLE:
		return decodeSample(record, cpu, batch)
	case bpf.ProfilerWireKindKIND_FORK, bpf.ProfilerWireKindKIND_EXEC,
		bpf.ProfilerWireKindKIND_EXIT, bpf.ProfilerWireKindKIND_FREE:
		return decodeLifecycle(record, batch)
	default:
		return false
	}
}

func decodeSample(record []byte, cpu uint32, batch *event.Batch) bool {
	if len(record) < sampleSize {
		return false
	}
	kernel := int(record[atKernelFrames])
	user := int(host.Uint16(record[atUserFrames:]))
	frames := record[sampleSize:]
	if kernel+user > maxFrames || len(frames) < 8*(kernel+user) {
		return false
	}
	context, link := event.Context(record[atContext]), event.Link{}
	switch behind := frames[8*(kernel+user):]; {
	case context >= event.Contexts, context == event.ContextLinked && len(behind) < linkSize:
		return false
	case context == event.ContextLinked:
		copy(link.Trace[:], behind)
		copy(link.Span[:], behind[len(link.Trace):])
	}
	from := len(batch.Frames)
	for ; len(batch.Frames) < from+kernel+user; frames = frames[8:] {
		batch.Frames = append(batch.Frames, host.Uint64(frames))
	}
	// The capacity ends with each stack: nobody appends into the next one. When
	// Frames grows, earlier stacks keep the memory they had.
	stack := batch.Frames[from:len(batch.Frames):len(batch.Frames)]
	toCalls(stack[:kernel])
	if end := event.UserStack(record[atUserStack]); end < event.UserComplete {
		toCalls(stack[kernel:])
	}
	batch.Samples = append(batch.Samples, event.Sample{
		KTime:      event.KTime(host.Uint64(record[atKTime:])),
		Proc:       decodeProc(record),
		Generation: event.Generation(host.Uint64(record[atGeneration:])),
		TID:        host.Uint32(record[atTID:]),
		CPU:        cpu,
		Birth:      event.KTime(host.Uint64(record[atBirth:])),
		UID:        host.Uint32(record[atUser:]),
		Comm:       decodeComm(record),
		Worker:     record[atWorker] != 0,
		UserStack:  event.UserStack(record[atUserStack]),
		Kernel:     stack[:kernel:kernel],
		User:       stack[kernel:],
		Context:    context,
		Link:       link,
	})
	return true
}

// toCalls changes return addresses, which all but the first are, to addresses in their
// calls: they lie behind the call, which may be the last instruction of a function.
func toCalls(stack []uint64) {
	for i := 1; i < len(stack); i++ {
		stack[i] -= min(stack[i], 1)
	}
}

func decodeLifecycle(record []byte, batch *event.Batch) bool {
	if len(record) < lifecycleSize {
		return false
	}
	batch.Lifecycle = append(batch.Lifecycle, event.Lifecycle{
		Kind:       event.Kind(record[atKind]),
		KTime:      event.KTime(host.Uint64(record[atKTime:])),
		Proc:       decodeProc(record),
		Generation: event.Generation(host.Uint64(record[atGeneration:])),
		Parent: event.ProcID{
			PID:   host.Uint32(record[atParentPID:]),
			Start: event.BootTime(host.Uint64(record[atParentStart:])),
		},
		ParentGeneration: event.Generation(host.Uint64(record[atParentGeneration:])),
		ParentThreads:    host.Uint32(record[atParentThreads:]),
		Cgroup:           decodeCgroup(record),
		Comm:             decodeComm(record),
		Worker:           record[atWorker] != 0,
	})
	return true
}

// decodeTask reads a row of the task iterator.
func decodeTask(row []byte) event.Task {
	return event.Task{
		Proc:       decodeProc(row),
		Generation: event.Generation(host.Uint64(row[atGeneration:])),
		Cgroup:     decodeCgroup(row),
		Comm:       decodeComm(row),
		Worker:     row[atWorker] != 0,
		Exiting:    row[atExiting] != 0,
	}
}

func decodeProc(record []byte) event.ProcID {
	return event.ProcID{
		PID:   host.Uint32(record[atPID:]),
		Start: event.BootTime(host.Uint64(record[atStart:])),
	}
}

func decodeCgroup(record []byte) event.CgroupID {
	return event.CgroupID{Unified: host.Uint64(record[atCgroup:]), Legacy: host.Uint64(record[atLegacyCgroup:])}
}

func decodeComm(record []byte) event.Comm {
	return event.Comm(record[atComm : atComm+event.CommLen])
}
