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

// ksymbol is a record as perf_event_ksymbol_output in kernel/events/core.c writes it.
func ksymbol(address uint64, size uint32, kind, flags uint16, name string) []byte {
	b := binary.NativeEndian.AppendUint32(nil, unix.PERF_RECORD_KSYMBOL)
	b = append(b, 0, 0, 0, 0)
	b = binary.NativeEndian.AppendUint64(b, address)
	b = binary.NativeEndian.AppendUint32(b, size)
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = append(b, name...)
	b = append(b, make([]byte, 8-len(name)%8)...)
	b = binary.NativeEndian.AppendUint64(b, 77) // time
	binary.NativeEndian.PutUint16(b[6:], uint16(len(b)))
	return b
}

func TestDecodeKernelCode(t *testing.T) {
	const at = 0xffffffffc0001000
	for _, c := range []struct {
		record []byte
		want   event.KernelCode
	}{
		{ksymbol(at, 0x40, 1, 0, "bpf_prog_1_a"), event.KernelCode{KTime: 77, Start: at, End: at + 0x40, Name: "bpf_prog_1_a", BPF: true}},
		{ksymbol(at, 0x40, 1, 1, "bpf_prog_1_a"), event.KernelCode{KTime: 77, Start: at, End: at + 0x40, Name: "bpf_prog_1_a", BPF: true, Gone: true}},
		// As the second event on a CPU has it.
		{append(ksymbol(at, 0x40, 1, 0, "bpf_prog_1_aligne"), 0, 0, 0, 0, 0, 0, 0, 0), event.KernelCode{KTime: 77, Start: at, End: at + 0x40, Name: "bpf_prog_1_aligne", BPF: true}},
		{ksymbol(at, 0x40, 1, 0, "seven_7"), event.KernelCode{KTime: 77, Start: at, End: at + 0x40, Name: "seven_7", BPF: true}},
		{ksymbol(at, 0x40, 1, 0, "eight__8"), event.KernelCode{KTime: 77, Start: at, End: at + 0x40, Name: "eight__8", BPF: true}},
		{ksymbol(at, 0x40, 2, 0, "ftrace_trampoline"), event.KernelCode{KTime: 77, Start: at, End: at + 0x40, Name: "ftrace_trampoline"}},
	} {
		var batch event.Batch
		require.True(t, decodeKernelCode(c.record, &batch))
		require.Equal(t, []event.KernelCode{c.want}, batch.Kernel)
		require.True(t, decodeMapped(c.record, &names{}, &batch))
		require.Empty(t, batch.Mapped)
	}
	var batch event.Batch
	require.False(t, decodeKernelCode(ksymbol(1<<64-1, 0x40, 1, 0, "x"), &batch))
	require.False(t, decodeKernelCode(ksymbol(at, 1, 1, 0, "x")[:ksymbolName], &batch))
	require.Empty(t, batch.Kernel)
}
