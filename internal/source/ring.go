// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"sync/atomic"
	"unsafe"
)

// Record header bits and size of BPF_MAP_TYPE_RINGBUF, include/uapi/linux/bpf.h.
const (
	recordBusy    = 1 << 31
	recordDiscard = 1 << 30
	recordHeader  = 8
)

// ring reads a BPF ring buffer in place. The kernel is the only writer of head
// and data, this the only writer of tail.
//
// data is mapped once, as twice would count twice as memory of this process; a record that
// wraps is put together. Records become visible in the order of reservation: one that is reserved but
// not committed holds up those behind it, and the reader neither spins on it nor
// skips it.
type ring struct {
	head, tail *uint64
	data       []byte
	mask       uint64
	// wrapped holds a record that goes over the end of data.
	wrapped []byte
}

func newRing(head, tail *uint64, data []byte) *ring {
	return &ring{head: head, tail: tail, data: data, mask: uint64(len(data)) - 1}
}

// position is how far the ring has been read, in bytes since its creation.
func (r *ring) position() uint64 { return *r.tail }

// written is how far records have been reserved.
func (r *ring) written() uint64 { return atomic.LoadUint64(r.head) }

// drain hands the committed records up to the position limit to visit, which
// returns false to stop before the record. A record is valid during the call.
func (r *ring) drain(limit uint64, visit func(record []byte) bool) {
	tail := *r.tail
	for tail < limit {
		offset := tail & r.mask
		// Pairs with the xchg that commits the record: bpf_ringbuf_commit in
		// kernel/bpf/ringbuf.c, v6.12.
		header := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[offset])))
		if header&recordBusy != 0 {
			break
		}
		size := uint64(header &^ (recordBusy | recordDiscard))
		if header&recordDiscard == 0 && !visit(r.record(tail+recordHeader, size)) {
			break
		}
		tail += (recordHeader + size + 7) &^ 7
	}
	// The kernel may reuse the memory from here on.
	atomic.StoreUint64(r.tail, tail)
}

// record returns the size bytes at a position.
func (r *ring) record(at, size uint64) []byte {
	from := at & r.mask
	if from+size <= uint64(len(r.data)) {
		return r.data[from : from+size]
	}
	r.wrapped = append(append(r.wrapped[:0], r.data[from:]...), r.data[:from+size-uint64(len(r.data))]...)
	return r.wrapped
}
