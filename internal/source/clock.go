// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
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
	cpu    int
	fd     int
	period time.Duration
	// enabled is when the event started, stopped whether it has ended.
	enabled event.KTime
	stopped bool
	// unfired only grows: expectation and count are not read at one instant.
	unfired uint64
}

// openClock opens the event, disabled. A fixed period rather than a frequency:
// the kernel would adapt a frequency, and its sum could not be checked.
func openClock(cpu int, period time.Duration, sampler *ebpf.Program) (*clock, error) {
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
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, sampler.FD()); err != nil {
		_ = c.close()
		return nil, explain(fmt.Errorf("attach the sampler to CPU %d: %w", cpu, err))
	}
	return c, nil
}

func (c *clock) enable() error {
	if err := unix.IoctlSetInt(c.fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		return fmt.Errorf("start sampling CPU %d: %w", c.cpu, err)
	}
	c.enabled = preflight.Now()
	return nil
}

func (c *clock) disable() error {
	if err := unix.IoctlSetInt(c.fd, unix.PERF_EVENT_IOC_DISABLE, 0); err != nil {
		return fmt.Errorf("stop sampling CPU %d: %w", c.cpu, err)
	}
	c.stopped = true
	return nil
}

// expected is how often the event should have fired by now. To ask a running
// event for its time interrupts its CPU, which costs more than everything else
// that a completion does, so its time is what has passed since it was enabled.
func (c *clock) expected(now event.KTime) (uint64, error) {
	if !c.stopped {
		return uint64(now-c.enabled) / uint64(c.period), nil
	}
	return c.counted()
}

// counted asks the event. A read brings the count and, by the read format, the
// time it was enabled in ns.
func (c *clock) counted() (uint64, error) {
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

func (c *clock) close() error { return unix.Close(c.fd) }
