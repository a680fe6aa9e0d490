// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// The generated types come from the object's type information, so their sizes
// are what the programs write. bpf/wire.h asserts the same numbers.
func TestWireLayout(t *testing.T) {
	require.EqualValues(t, 48, unsafe.Sizeof(bpf.ProfilerWireHead{}))
	require.EqualValues(t, 72+8*(127+4+2048+512+3), unsafe.Sizeof(bpf.ProfilerWireSample{}))
	require.EqualValues(t, 88, unsafe.Sizeof(bpf.ProfilerWireLifecycle{}))
	require.EqualValues(t, 24, unsafe.Sizeof(bpf.ProfilerWireLife{}))
	require.EqualValues(t, 64, unsafe.Sizeof(bpf.ProfilerWireCounters{}))
	require.EqualValues(t, 16, unsafe.Sizeof(bpf.ProfilerWireRule{}))
	require.EqualValues(t, 8, unsafe.Sizeof(bpf.ProfilerWireRow{}))
	require.EqualValues(t, 32, unsafe.Sizeof(bpf.ProfilerWireRegion{}))
}

// What is written to tables is what the sampler can search: bpf/wire.h asserts that its
// searches have enough steps for the numbers that these imply.
func TestWireLimits(t *testing.T) {
	spec, err := bpf.LoadProfiler()
	require.NoError(t, err)
	require.EqualValues(t, chunkSize, spec.Maps[bpf.ProfilerMapChunks].InnerMap.ValueSize)
	require.EqualValues(t, maxRules, spec.Maps[bpf.ProfilerMapRules].MaxEntries)
	require.LessOrEqual(t, maxRegions*regionBytes, chunkSize, "a list of regions lies in one chunk")
	require.LessOrEqual(t, maxChunks, 1<<16, "of which regions have the number in 16 bits")
}

func TestWireConstants(t *testing.T) {
	for kind, wire := range map[event.Kind]bpf.ProfilerWireKind{
		event.Fork: bpf.ProfilerWireKindKIND_FORK,
		event.Exec: bpf.ProfilerWireKindKIND_EXEC,
		event.Exit: bpf.ProfilerWireKindKIND_EXIT,
		event.Free: bpf.ProfilerWireKindKIND_FREE,
	} {
		require.EqualValues(t, kind, wire)
	}
	for user, wire := range map[event.UserStack]bpf.ProfilerWireUserStack{
		event.UserTaken:  bpf.ProfilerWireUserStackUSER_TAKEN,
		event.UserNone:   bpf.ProfilerWireUserStackUSER_NONE,
		event.UserExec:   bpf.ProfilerWireUserStackUSER_EXEC,
		event.UserExit:   bpf.ProfilerWireUserStackUSER_EXIT,
		event.UserFailed: bpf.ProfilerWireUserStackUSER_FAILED,

		event.UserComplete:    bpf.ProfilerWireUserStackUSER_COMPLETE,
		event.UserTruncated:   bpf.ProfilerWireUserStackUSER_TRUNCATED,
		event.UserNoTable:     bpf.ProfilerWireUserStackUSER_NO_TABLE,
		event.UserBadFrame:    bpf.ProfilerWireUserStackUSER_BAD_FRAME,
		event.UserUnreadable:  bpf.ProfilerWireUserStackUSER_UNREADABLE,
		event.UserUnsupported: bpf.ProfilerWireUserStackUSER_UNSUPPORTED,
		event.UserUnmapped:    bpf.ProfilerWireUserStackUSER_UNMAPPED,
		event.UserCopied:      bpf.ProfilerWireUserStackUSER_COPIED,
	} {
		require.EqualValues(t, user, wire)
	}
}

// The rules that package unwind compiles are those that the sampler follows.
func TestWireRules(t *testing.T) {
	for cfa, wire := range map[unwind.CFA]bpf.ProfilerWireCfa{
		unwind.CFANoInfo: bpf.ProfilerWireCfaCFA_NO_INFO, unwind.CFAUnsupported: bpf.ProfilerWireCfaCFA_UNSUPPORTED,
		unwind.CFASP: bpf.ProfilerWireCfaCFA_SP, unwind.CFAFP: bpf.ProfilerWireCfaCFA_FP,
		unwind.CFADerefSP: bpf.ProfilerWireCfaCFA_DEREF_SP, unwind.CFADerefFP: bpf.ProfilerWireCfaCFA_DEREF_FP,
		unwind.CFADerefSP8: bpf.ProfilerWireCfaCFA_DEREF_SP8, unwind.CFADerefFP8: bpf.ProfilerWireCfaCFA_DEREF_FP8,
		unwind.CFAPLT: bpf.ProfilerWireCfaCFA_PLT,
	} {
		require.EqualValues(t, cfa, wire)
	}
	for place, wire := range map[unwind.Place]bpf.ProfilerWirePlace{
		unwind.Unknown: bpf.ProfilerWirePlacePLACE_UNKNOWN, unwind.Same: bpf.ProfilerWirePlacePLACE_SAME,
		unwind.AtCFA: bpf.ProfilerWirePlacePLACE_AT_CFA, unwind.AtSP: bpf.ProfilerWirePlacePLACE_AT_SP,
		unwind.AtFP: bpf.ProfilerWirePlacePLACE_AT_FP, unwind.InLR: bpf.ProfilerWirePlacePLACE_IN_LR,
		unwind.Undefined: bpf.ProfilerWirePlacePLACE_UNDEFINED,
	} {
		require.EqualValues(t, place, wire)
	}
}

func bytesOf[T any](v *T, n uintptr) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(v)), n) }

func head(kind bpf.ProfilerWireKind) bpf.ProfilerWireHead {
	h := bpf.ProfilerWireHead{Ktime: 11, Start: 22, Generation: 33, Pid: 44, Kind: uint8(kind), Worker: 1, UserStack: 2}
	h.Comm[0], h.Comm[1] = 'g', 'o'
	return h
}

func TestDecodeSample(t *testing.T) {
	wire := bpf.ProfilerWireSample{Head: head(bpf.ProfilerWireKindKIND_SAMPLE), Tid: 55, KernelFrames: 1, UserFrames: 2}
	wire.Frames[0], wire.Frames[1], wire.Frames[2] = 101, 102, 104
	record := bytesOf(&wire, uintptr(sampleSize)+24)
	var b event.Batch
	require.True(t, decode(record, 7, &b))
	require.Equal(t, []event.Sample{{
		KTime: 11, Proc: event.ProcID{PID: 44, Start: 22}, Generation: 33, TID: 55, CPU: 7,
		Comm: event.Comm{'g', 'o'}, Worker: true, UserStack: event.UserExec,
		Kernel: []uint64{101}, User: []uint64{102, 103},
	}}, b.Samples)
	require.False(t, decode(record[:len(record)-1], 7, &b), "a frame is cut off")
	wire.KernelFrames = 0xff
	wire.UserFrames = 0xffff
	require.False(t, decode(record, 7, &b), "more frames than a record holds")
}

// A link is behind the frames, of a sample that has one; without it the sample is as before.
func TestDecodeLink(t *testing.T) {
	wire := bpf.ProfilerWireSample{Head: head(bpf.ProfilerWireKindKIND_SAMPLE), KernelFrames: 1, UserFrames: 1}
	copy(wire.Frames[:], []uint64{101, 102, 0x0807060504030201, 0x100f0e0d0c0b0a09, 0x1817161514131211})
	want := event.Link{
		Trace: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
		Span:  [8]byte{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18},
	}
	for _, c := range []struct {
		context event.Context
		words   int
		ok      bool
		link    event.Link
	}{
		{event.ContextNone, 2, true, event.Link{}},
		{event.ContextNone, 5, true, event.Link{}},
		{event.ContextUnreadable, 5, true, event.Link{}},
		{event.ContextLinked, 5, true, want},
		{event.ContextLinked, 4, false, event.Link{}},
		{event.Contexts, 5, false, event.Link{}},
	} {
		wire.Context = uint8(c.context)
		var b event.Batch
		require.Equal(t, c.ok, decode(bytesOf(&wire, uintptr(sampleSize)+uintptr(8*c.words)), 7, &b), c)
		if c.ok {
			require.Equal(t, c.link, b.Samples[0].Link)
			require.Equal(t, c.context, b.Samples[0].Context)
			require.Equal(t, []uint64{102}, b.Samples[0].User)
		}
	}
	require.EqualValues(t, bpf.ProfilerWireContextCONTEXT_LINKED, event.ContextLinked)
	require.EqualValues(t, bpf.ProfilerWireContextCONTEXT_UNREADABLE, event.ContextUnreadable)
}

// A return address is behind the call, which may be the last instruction of its
// function. The walk by tables says where the calls are.
func TestCallersAreWhereTheirCallsAre(t *testing.T) {
	for end := range event.UserStacks {
		wire := bpf.ProfilerWireSample{Head: head(bpf.ProfilerWireKindKIND_SAMPLE), KernelFrames: 2, UserFrames: 3}
		wire.Head.UserStack = uint8(end)
		copy(wire.Frames[:], []uint64{101, 201, 301, 401, 0})
		var b event.Batch
		require.True(t, decode(bytesOf(&wire, uintptr(sampleSize)+40), 0, &b))
		require.Equal(t, []uint64{101, 200}, b.Samples[0].Kernel)
		if end < event.UserComplete {
			require.Equal(t, []uint64{301, 400, 0}, b.Samples[0].User, end)
		} else {
			require.Equal(t, []uint64{301, 401, 0}, b.Samples[0].User, end)
		}
	}
}

func TestDecodeLifecycle(t *testing.T) {
	wire := bpf.ProfilerWireLifecycle{
		Head: head(bpf.ProfilerWireKindKIND_FORK), ParentStart: 66, ParentGeneration: 77, ParentPid: 88, Cgroup: 99, LegacyCgroup: 98,
	}
	record := bytesOf(&wire, unsafe.Sizeof(wire))
	var b event.Batch
	require.True(t, decode(record, 0, &b))
	require.Equal(t, []event.Lifecycle{{
		Kind: event.Fork, KTime: 11, Proc: event.ProcID{PID: 44, Start: 22}, Generation: 33,
		Parent: event.ProcID{PID: 88, Start: 66}, ParentGeneration: 77, Cgroup: event.CgroupID{Unified: 99, Legacy: 98},
		Comm: event.Comm{'g', 'o'}, Worker: true,
	}}, b.Lifecycle)
	wire.Head.Kind = 99
	require.False(t, decode(record, 0, &b))
}

func TestDecodeTask(t *testing.T) {
	wire := bpf.ProfilerWireLifecycle{Head: head(0), Cgroup: 99, LegacyCgroup: 98}
	wire.Head.Exiting = 1
	require.Equal(t, event.Task{
		Proc: event.ProcID{PID: 44, Start: 22}, Generation: 33, Cgroup: event.CgroupID{Unified: 99, Legacy: 98},
		Comm: event.Comm{'g', 'o'}, Worker: true, Exiting: true,
	}, decodeTask(bytesOf(&wire, unsafe.Sizeof(wire))))
}

// The oracle: a record is understood or leaves the batch as it was.
func FuzzDecode(f *testing.F) {
	wire := bpf.ProfilerWireSample{Head: head(bpf.ProfilerWireKindKIND_SAMPLE), KernelFrames: 3, UserFrames: 4}
	f.Add(append([]byte{}, bytesOf(&wire, uintptr(sampleSize)+56)...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, record []byte) {
		var b event.Batch
		ok := decode(record, 0, &b)
		if got := len(b.Samples) + len(b.Lifecycle); ok != (got == 1) {
			t.Fatalf("decode says %v and left %d events", ok, got)
		}
		for _, s := range b.Samples {
			if 8*(len(s.Kernel)+len(s.User)) > len(record)-sampleSize {
				t.Fatalf("%d frames from %d bytes", len(s.Kernel)+len(s.User), len(record))
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	wire := bpf.ProfilerWireSample{Head: head(bpf.ProfilerWireKindKIND_SAMPLE), KernelFrames: 10, UserFrames: 40}
	record := bytesOf(&wire, uintptr(sampleSize)+400)
	var batch event.Batch
	b.ReportAllocs()
	for i := range b.N {
		if i%BatchSamples == 0 {
			batch.Reset()
		}
		decode(record, 0, &batch)
	}
}
