// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// sidebandSize is the bytes per CPU for records of mappings. With its header page
// it is what a user may lock without CAP_IPC_LOCK (kernel.perf_event_mlock_kb).
const sidebandSize = 512 << 10

// perfBitBuildID asks for build IDs in PERF_RECORD_MMAP2 (since Linux 5.12).
const perfBitBuildID = 1 << 34

// sideband is the event that tells of executable mappings on one CPU, and of code that
// the kernel makes, and counts nothing itself. The kernel stamps and writes such a record inside one RCU
// read-side section, so the barrier covers them like programs (perf_iterate_sb in
// kernel/events/core.c, v5.10 to v6.18).
type sideband struct {
	cpu int
	// anchor is the event whose memory takes the records, fd the one that writes
	// them: another one if the CPU was offline in between, -1 while it is.
	anchor, fd int
	counts     bool // what it lost
	memory     []byte
	reader     *stream
	names      names
	// seen counts records of mappings.
	seen uint64
	// lost counts records that found no room. Where the kernel does not tell, it
	// counts the occasions. retired are those of earlier events.
	lost, retired uint64
}

func openSideband(cpu int) (_ *sideband, err error) {
	s := &sideband{cpu: cpu, anchor: -1, fd: -1}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.open(); err != nil {
		return nil, err
	}
	s.anchor = s.fd
	page := os.Getpagesize()
	s.memory, err = unix.Mmap(s.fd, 0, page+sidebandSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		if errors.Is(err, unix.EPERM) {
			err = fmt.Errorf("%w: grant CAP_IPC_LOCK or raise the sysctl kernel.perf_event_mlock_kb, by %d for each receiver on this host",
				err, (page+sidebandSize)>>10)
		}
		return nil, fmt.Errorf("map the buffer for mappings on CPU %d: %w", cpu, err)
	}
	header := (*unix.PerfEventMmapPage)(unsafe.Pointer(&s.memory[0]))
	s.reader = newStream(&header.Data_head, &header.Data_tail, s.memory[page:])
	if err := s.enable(); err != nil {
		return nil, err
	}
	return s, nil
}

// open opens the event with what the kernel offers: since Linux 6.0 it counts
// what it loses, since 5.12 it tells build IDs.
func (s *sideband) open() (err error) {
	attr := unix.PerfEventAttr{
		Type:   unix.PERF_TYPE_SOFTWARE,
		Config: unix.PERF_COUNT_SW_DUMMY,
		Size:   uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		// Mmap2 says how, Mmap that: the kernel looks at it alone to see if anybody
		// wants to know (perf_event_mmap, account_event).
		Bits: unix.PerfBitDisabled | unix.PerfBitMmap | unix.PerfBitMmap2 | unix.PerfBitSampleIDAll |
			unix.PerfBitUseClockID | unix.PerfBitWatermark | perfBitKsymbol,
		Sample_type: unix.PERF_SAMPLE_TIME,
		Clockid:     unix.CLOCK_MONOTONIC,
		Wakeup:      sidebandSize, // nobody sleeps on it
	}
	for _, offer := range []struct{ format, bits uint64 }{{unix.PERF_FORMAT_LOST, perfBitBuildID}, {0, perfBitBuildID}, {}} {
		with := attr
		with.Read_format, with.Bits = offer.format, attr.Bits|offer.bits
		s.counts = offer.format != 0
		s.fd, err = unix.PerfEventOpen(&with, -1, s.cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	if err != nil {
		s.fd = -1
		return s.explain("open the event", err)
	}
	return nil
}

func (s *sideband) enable() error {
	if err := unix.IoctlSetInt(s.fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		return s.explain("start the event", err)
	}
	return nil
}

func (s *sideband) explain(what string, err error) error {
	return explain(fmt.Errorf("follow the mappings on CPU %d: %s: %w", s.cpu, what, err))
}

// retire ends the event of a CPU that went offline; what it wrote stays.
func (s *sideband) retire() error {
	if s.fd < 0 {
		return nil
	}
	if s.counts {
		s.noteLoss()
	}
	s.retired = s.lost
	fd := s.fd
	s.fd = -1
	if fd == s.anchor {
		return unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_DISABLE, 0)
	}
	return unix.Close(fd)
}

// resume follows the CPU again: the kernel leaves its old event switched off. What
// happened in between went unseen.
func (s *sideband) resume() (err error) {
	if s.fd >= 0 {
		return nil
	}
	if err := s.open(); err != nil {
		return err
	}
	defer func() {
		if err != nil { // to be tried again
			err = errors.Join(err, unix.Close(s.fd))
			s.fd = -1
		}
	}()
	if err := unix.IoctlSetInt(s.fd, unix.PERF_EVENT_IOC_SET_OUTPUT, s.anchor); err != nil {
		return s.explain("share the buffer", err)
	}
	s.unseen()
	return s.enable()
}

// unseen counts a loss of unknown size.
func (s *sideband) unseen() {
	s.retired++
	s.lost++
}

// noteLoss is called when records may have been lost. To ask a running event
// interrupts its CPU, so it is not asked for nothing.
func (s *sideband) noteLoss() {
	if !s.counts {
		s.unseen()
		return
	}
	if s.fd < 0 {
		return
	}
	// By the read format: the count, which is 0, then what was lost.
	var buf [16]byte
	n, err := unix.Read(s.fd, buf[:])
	if err == nil && n != len(buf) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		s.unseen()
		return
	}
	s.lost = max(s.lost, s.retired+host.Uint64(buf[8:]))
}

func (s *sideband) written() uint64 { return s.reader.written() }

func (s *sideband) drain(limit uint64, batch *event.Batch) (position uint64, more bool) {
	mapped := len(batch.Mapped)
	overrun := s.reader.drain(limit, func(record []byte) bool {
		if more = full(batch); more {
			return false
		}
		if !decodeMapped(record, &s.names, batch) || !decodeKernelCode(record, batch) {
			s.reader.garbled++
		}
		return true
	})
	s.seen += uint64(len(batch.Mapped) - mapped)
	if overrun {
		s.noteLoss()
	}
	return s.reader.position(), more
}

// missed is how many records of mappings are known to be missing.
func (s *sideband) missed() uint64 { return s.lost + s.reader.garbled }

func (s *sideband) close() error {
	var errs []error
	if s.memory != nil {
		errs = append(errs, unix.Munmap(s.memory))
	}
	if s.fd >= 0 && s.fd != s.anchor {
		errs = append(errs, unix.Close(s.fd))
	}
	if s.anchor >= 0 {
		errs = append(errs, unix.Close(s.anchor))
	}
	return errors.Join(errs...)
}
