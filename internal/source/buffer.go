// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// buffer is the ring buffer of one CPU and its memory: the page of the read
// position, ours to write, and the page of the write position with the data
// behind it, which only the kernel writes (ringbuf_map_mmap_kern in
// kernel/bpf/ringbuf.c, v6.12). It offers the data twice; once is mapped.
type buffer struct {
	cpu    uint32
	ring   *ebpf.Map
	reader *ring
	// drained counts samples, undecoded what is no record of ours.
	drained, undecoded uint64

	consumer, producer []byte
}

func openBuffer(cpu, size int) (_ *buffer, err error) {
	b := &buffer{cpu: uint32(cpu)}
	defer func() {
		if err != nil {
			err = explain(fmt.Errorf("make a ring buffer of %d bytes (ring_buffer_size) for CPU %d: %w",
				size, cpu, errors.Join(err, b.close())))
		}
	}()
	b.ring, err = ebpf.NewMap(&ebpf.MapSpec{Name: "ring", Type: ebpf.RingBuf, MaxEntries: uint32(size)})
	if err != nil {
		return nil, err
	}
	page := os.Getpagesize()
	b.consumer, err = unix.Mmap(b.ring.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	b.producer, err = unix.Mmap(b.ring.FD(), int64(page), page+size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	b.reader = newRing(
		(*uint64)(unsafe.Pointer(&b.producer[0])),
		(*uint64)(unsafe.Pointer(&b.consumer[0])),
		b.producer[page:],
	)
	return b, nil
}

func (b *buffer) written() uint64 { return b.reader.written() }

func (b *buffer) drain(limit uint64, batch *event.Batch) (position uint64, more bool) {
	samples := len(batch.Samples)
	b.reader.drain(limit, func(record []byte) bool {
		if more = full(batch); more {
			return false
		}
		if !decode(record, b.cpu, batch) {
			b.undecoded++
		}
		return true
	})
	b.drained += uint64(len(batch.Samples) - samples)
	return b.reader.position(), more
}

func (b *buffer) close() error {
	var errs []error
	if b.consumer != nil {
		errs = append(errs, unix.Munmap(b.consumer))
	}
	if b.producer != nil {
		errs = append(errs, unix.Munmap(b.producer))
	}
	if b.ring != nil {
		errs = append(errs, b.ring.Close())
	}
	return errors.Join(errs...)
}
