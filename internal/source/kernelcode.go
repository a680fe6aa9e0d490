// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Offsets in PERF_RECORD_KSYMBOL with the time as sample ID
// (include/uapi/linux/perf_event.h, v6.12).
const (
	ksymbolAddress = 8
	ksymbolLength  = 16
	ksymbolType    = 20
	ksymbolFlags   = 22
	ksymbolName    = 24
	ksymbolTime    = 8 // its size

	ksymbolTypeBPF    = 1
	ksymbolUnregister = 1

	// perfBitKsymbol asks for these records (since Linux 5.1).
	perfBitKsymbol = 1 << 29
)

// decodeKernelCode appends a record of code that the kernel made to the batch; others are
// of no interest. It returns false for a record that is damaged.
func decodeKernelCode(record []byte, batch *event.Batch) bool {
	if host.Uint32(record) != unix.PERF_RECORD_KSYMBOL {
		return true
	}
	if len(record) < ksymbolName+ksymbolTime {
		return false
	}
	// The time is behind the name, which has a zero byte and is padded, and not at the end:
	// to the record of each event the kernel adds the IDs of those before
	// (perf_event_ksymbol_output in kernel/events/core.c, v6.12).
	size := bytes.IndexByte(record[ksymbolName:], 0)
	at := ksymbolName + (size+8)&^7
	if size < 0 || at+ksymbolTime > len(record) {
		return false
	}
	name := record[ksymbolName : ksymbolName+size]
	start := host.Uint64(record[ksymbolAddress:])
	c := event.KernelCode{
		KTime: event.KTime(host.Uint64(record[at:])),
		Start: start,
		End:   start + uint64(host.Uint32(record[ksymbolLength:])),
		Name:  string(name),
		BPF:   host.Uint16(record[ksymbolType:]) == ksymbolTypeBPF,
		Gone:  host.Uint16(record[ksymbolFlags:])&ksymbolUnregister != 0,
	}
	if c.End < start {
		return false
	}
	batch.Kernel = append(batch.Kernel, c)
	return true
}
