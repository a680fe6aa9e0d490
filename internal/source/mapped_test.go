// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// mmap2 is a record as perf_event_mmap_output in kernel/events/core.c writes it.
func mmap2(misc uint16, union [24]byte, path string) []byte {
	b := binary.NativeEndian.AppendUint32(nil, unix.PERF_RECORD_MMAP2)
	b = binary.NativeEndian.AppendUint16(b, misc)
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = binary.NativeEndian.AppendUint32(b, 42) // pid
	b = binary.NativeEndian.AppendUint32(b, 43) // tid
	for _, v := range []uint64{0x1000, 0x2000, 0x3000} {
		b = binary.NativeEndian.AppendUint64(b, v)
	}
	b = append(b, union[:]...)
	b = append(b, make([]byte, 8)...) // prot, flags
	b = append(b, path...)
	b = append(b, make([]byte, 8-len(path)%8)...)
	b = binary.NativeEndian.AppendUint64(b, 77) // time
	binary.NativeEndian.PutUint16(b[6:], uint16(len(b)))
	return b
}

func TestDecodeMapped(t *testing.T) {
	id := [24]byte{20, 0, 0, 0}
	for i := range 20 {
		id[4+i] = byte(i)
	}
	var inode [24]byte
	binary.NativeEndian.PutUint32(inode[:], 8)
	binary.NativeEndian.PutUint32(inode[4:], 1)
	binary.NativeEndian.PutUint64(inode[8:], 99)
	binary.NativeEndian.PutUint64(inode[16:], 5)
	place := event.Mapping{Start: 0x1000, End: 0x3000, Offset: 0x3000}
	for name, c := range map[string]struct {
		record []byte
		want   func(*event.Mapping)
	}{
		"build ID": {mmap2(unix.PERF_RECORD_MISC_MMAP_BUILD_ID, id, "/bin/x"), func(m *event.Mapping) {
			m.Path, m.BuildID = "/bin/x", "000102030405060708090a0b0c0d0e0f10111213"
		}},
		"inode": {mmap2(0, inode, "/bin/y (deleted)"), func(m *event.Mapping) {
			m.Path, m.File = "/bin/y", event.File{Device: unix.Mkdev(8, 1), Inode: 99, Generation: 5}
		}},
		"no file":  {mmap2(0, [24]byte{}, "//anon"), func(*event.Mapping) {}},
		"vdso":     {mmap2(0, [24]byte{}, "[vdso]"), func(m *event.Mapping) { m.Path = "[vdso]" }},
		"too long": {mmap2(0, inode, "//toolong"), func(m *event.Mapping) { m.File = event.File{Device: unix.Mkdev(8, 1), Inode: 99, Generation: 5} }},
	} {
		want := event.Mapped{KTime: 77, PID: 42, Mapping: place}
		c.want(&want.Mapping)
		var batch event.Batch
		require.True(t, decodeMapped(c.record, &names{}, &batch), name)
		require.Equal(t, []event.Mapped{want}, batch.Mapped, name)
	}
}

func TestRecordsThatAreNoMappings(t *testing.T) {
	var batch event.Batch
	fork := binary.NativeEndian.AppendUint32(nil, unix.PERF_RECORD_FORK)
	require.True(t, decodeMapped(append(fork, 0, 0, 8, 0), &names{}, &batch))
	short := mmap2(0, [24]byte{}, "/x")
	require.False(t, decodeMapped(short[:mmapName], &names{}, &batch))
	backwards := mmap2(0, [24]byte{}, "/x")
	binary.NativeEndian.PutUint64(backwards[mmapLength:], 1<<63|1<<62)
	binary.NativeEndian.PutUint64(backwards[mmapAddress:], 1<<63)
	require.False(t, decodeMapped(backwards, &names{}, &batch))
	require.True(t, batch.Empty())
}

func TestNamesAreKeptOnceAndBounded(t *testing.T) {
	var n names
	path := []byte("/bin/x")
	first := n.intern(path)
	require.Zero(t, testing.AllocsPerRun(10, func() { n.intern(path) }))
	require.Equal(t, "/bin/x", first)
	for i := range 3 * maxNames {
		n.intern(binary.NativeEndian.AppendUint32(nil, uint32(i)))
	}
	require.LessOrEqual(t, len(n), maxNames)
}

// A record is understood or leaves the batch as it was. The kernel writes whole ones, of at
// least a header (perf_output_begin).
func FuzzMapped(f *testing.F) {
	f.Add(mmap2(0, [24]byte{20: 5}, "/bin/x (deleted)"))
	f.Add(mmap2(unix.PERF_RECORD_MISC_MMAP_BUILD_ID, [24]byte{255, 0, 0, 0, 1}, "//anon"))
	f.Add(ksymbol(1<<63, 0x40, 1, 1, "bpf_prog_1_a"))
	f.Fuzz(func(t *testing.T, record []byte) {
		if len(record) < 8 {
			return
		}
		var b event.Batch
		mapped, code := decodeMapped(record, &names{}, &b), decodeKernelCode(record, &b)
		if got := len(b.Mapped) + len(b.Kernel); got > 1 || got == 1 && !(mapped && code) {
			t.Fatalf("%v, %v, and %d are left", mapped, code, got)
		}
		for _, m := range b.Mapped {
			if m.End < m.Start || len(m.BuildID) > 2*maxBuildID || len(m.Path) > len(record) || m.BuildID != "" && m.File != (event.File{}) {
				t.Fatalf("%+v", m)
			}
		}
		for _, c := range b.Kernel {
			if c.End < c.Start || len(c.Name) > len(record) {
				t.Fatalf("%+v", c)
			}
		}
	})
}
