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
	ksymbolTime    = 8 // before the end

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
	name := record[ksymbolName : len(record)-ksymbolTime]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	start := host.Uint64(record[ksymbolAddress:])
	c := event.KernelCode{
		KTime: event.KTime(host.Uint64(record[len(record)-ksymbolTime:])),
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
