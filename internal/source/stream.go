// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/binary"
	"sync/atomic"
)

const (
	// eventHeader is the size of struct perf_event_header: type, misc and size of
	// the record (include/uapi/linux/perf_event.h).
	eventHeader = 8
	// maxEvent is no less than the largest record of our events: a path of PATH_MAX.
	maxEvent = 8192
)

// stream reads the records of a perf event in place. The kernel is the only
// writer of head and data, this the only writer of tail.
//
// What the kernel publishes is complete: nested writers move the head once the
// outermost has ended (perf_output_put_handle in kernel/events/ring_buffer.c,
// v6.12).
type stream struct {
	head, tail *uint64
	data       []byte
	mask       uint64
	// wrapped holds a record that goes over the end of data.
	wrapped []byte
	// garbled counts positions that could not be understood.
	garbled uint64
}

func newStream(head, tail *uint64, data []byte) *stream {
	return &stream{head: head, tail: tail, data: data, mask: uint64(len(data)) - 1}
}

// position is how far the stream has been read, in bytes since its creation.
func (s *stream) position() uint64 { return *s.tail }

// written is how far there are records.
func (s *stream) written() uint64 { return atomic.LoadUint64(s.head) }

// drain hands the records up to the position limit, which was written, to visit,
// which returns false to stop before the record. A record is valid during the
// call. It reports whether the kernel may have found no room for a record since
// the last drain: it drops one only if less than its size is free.
func (s *stream) drain(limit uint64, visit func(record []byte) bool) (overrun bool) {
	begin := *s.tail
	tail := begin
	for tail < limit {
		record := s.record(tail, limit)
		if record == nil {
			s.garbled++
			tail = limit
			break
		}
		if !visit(record) {
			break
		}
		tail += uint64(len(record))
	}
	// The kernel may reuse the memory from here on.
	atomic.StoreUint64(s.tail, tail)
	// It wrote or dropped on the strength of the old tail until now.
	return s.written()-begin+maxEvent > uint64(len(s.data))
}

// record returns the one at a position; nil if there is none.
func (s *stream) record(at, limit uint64) []byte {
	var header [eventHeader]byte
	if limit-at < eventHeader {
		return nil
	}
	s.copy(header[:], at)
	size := uint64(binary.NativeEndian.Uint16(header[6:]))
	if size < eventHeader || size > limit-at {
		return nil
	}
	from := at & s.mask
	if from+size <= uint64(len(s.data)) {
		return s.data[from : from+size]
	}
	s.wrapped = append(s.wrapped[:0], make([]byte, size)...)
	s.copy(s.wrapped, at)
	return s.wrapped
}

func (s *stream) copy(to []byte, at uint64) {
	n := copy(to, s.data[at&s.mask:])
	copy(to[n:], s.data)
}
