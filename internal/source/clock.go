// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"io"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/preflight"
)

// clock is the sampling event of one CPU: a software clock that runs the sampler
// once per period.
type clock struct {
	cpu     int
	fd      int
	period  time.Duration
	enabled event.KTime
}

// openClock starts the event. A fixed period rather than a frequency: the kernel
// would adapt a frequency, and its sum could not be checked.
func openClock(cpu int, period time.Duration, sampler *ebpf.Program) (_ *clock, err error) {
	attr := unix.PerfEventAttr{
		Type:        unix.PERF_TYPE_SOFTWARE,
		Config:      unix.PERF_COUNT_SW_CPU_CLOCK,
		Size:        uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample:      uint64(period),
		Bits:        unix.PerfBitDisabled,
		Read_format: unix.PERF_FORMAT_TOTAL_TIME_ENABLED,
	}
	fd, err := unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return nil, explain(fmt.Errorf("open the sampling event of CPU %d: %w", cpu, err))
	}
	c := &clock{cpu: cpu, fd: fd, period: period}
	defer func() {
		if err != nil {
			err = errors.Join(err, unix.Close(fd))
		}
	}()
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, sampler.FD()); err != nil {
		return nil, explain(fmt.Errorf("attach the sampler to CPU %d: %w", cpu, err))
	}
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		return nil, fmt.Errorf("start sampling CPU %d: %w", cpu, err)
	}
	c.enabled = preflight.Now()
	return c, nil
}

// expected is how often the event should have fired by now. To ask a running
// event for its time interrupts its CPU, which costs more than everything else
// that a completion does, so its time is what has passed since it was enabled.
func (c *clock) expected(now event.KTime) uint64 {
	return uint64(now-c.enabled) / uint64(c.period)
}

// stop ends the event and returns how often it should have fired by its own time,
// which also stopped if its CPU went offline.
func (c *clock) stop() (expected uint64, err error) {
	defer func() { err = errors.Join(err, unix.Close(c.fd)) }()
	if err := unix.IoctlSetInt(c.fd, unix.PERF_EVENT_IOC_DISABLE, 0); err != nil {
		return 0, fmt.Errorf("stop sampling CPU %d: %w", c.cpu, err)
	}
	// By the read format: the count, then the time enabled in ns.
	var buf [16]byte
	n, err := unix.Read(c.fd, buf[:])
	if err == nil && n != len(buf) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, fmt.Errorf("read the sampling event of CPU %d: %w", c.cpu, err)
	}
	return host.Uint64(buf[8:]) / uint64(c.period), nil
}
