// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/preflight"
)

// Kernel is the source that samples the running kernel.
type Kernel struct {
	objects *objects
	hooks   *hooks
	buffers []*buffer
	clocks  []*clock
	// possible is how many CPUs there may be; those that were offline at the start
	// have no buffer and no clock.
	possible int
	closed   bool

	drained, undecoded uint64
}

// Open loads the programs, proves that the barrier waits on this kernel and
// starts to sample every online CPU. Its error names the cause and the cure. The
// caller closes the source.
func Open(s Settings) (_ *Kernel, err error) {
	if err := errors.Join(preflight.Check()...); err != nil {
		return nil, err
	}
	if page := os.Getpagesize(); s.ringSize() < page {
		return nil, fmt.Errorf("ring_buffer_size: %d is less than a page, which has %d bytes on this host", s.ringSize(), page)
	}
	if err := testBarrier(); err != nil {
		return nil, err
	}
	k := &Kernel{}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.Close())
		}
	}()
	cpus, err := onlineCPUs()
	if err != nil {
		return nil, err
	}
	if k.possible, err = ebpf.PossibleCPU(); err != nil {
		return nil, fmt.Errorf("count the possible CPUs: %w", err)
	}
	if k.objects, err = load(s, k.possible); err != nil {
		return nil, err
	}
	for _, cpu := range cpus {
		b, err := openBuffer(cpu, s.ringSize())
		if err != nil {
			return nil, err
		}
		k.buffers = append(k.buffers, b)
		if err := k.objects.Rings.Put(uint32(cpu), b.ring); err != nil {
			return nil, fmt.Errorf("give CPU %d its ring buffer: %w", cpu, err)
		}
	}
	if k.hooks, err = attach(k.objects); err != nil {
		return nil, err
	}
	for _, cpu := range cpus {
		c, err := openClock(cpu, s.Period(), k.objects.SampleCpu)
		if err != nil {
			return nil, err
		}
		k.clocks = append(k.clocks, c)
	}
	return k, k.start()
}

func (k *Kernel) start() error {
	for _, c := range k.clocks {
		if err := c.enable(); err != nil {
			return err
		}
	}
	return nil
}

// Now reads the clock that stamps events.
func (k *Kernel) Now() event.KTime { return preflight.Now() }

// Buffers is the number of buffers to drain.
func (k *Kernel) Buffers() int { return len(k.buffers) }

// Heads reads how far each buffer has been written.
func (k *Kernel) Heads(heads []uint64) {
	for i, b := range k.buffers {
		heads[i] = b.reader.written()
	}
}

// Drain appends what a buffer holds up to the position limit to the batch, and
// returns how far the buffer has been read. It reports whether the batch is full
// and more may be had with another.
func (k *Kernel) Drain(buffer int, limit uint64, batch *event.Batch) (position uint64, more bool) {
	b := k.buffers[buffer]
	samples := len(batch.Samples)
	b.reader.drain(limit, func(record []byte) bool {
		if more = full(batch); more {
			return false
		}
		if !decode(record, b.cpu, batch) {
			k.undecoded++
		}
		return true
	})
	k.drained += uint64(len(batch.Samples) - samples)
	return b.reader.position(), more
}

// Barrier returns once every program that was running when it was called has
// ended: the kernel waits for a grace period after an update of a map of maps
// (maybe_wait_bpf_programs in kernel/bpf/syscall.c, v5.10 to v6.18).
func (k *Kernel) Barrier() error {
	first := k.buffers[0]
	if err := k.objects.Rings.Put(first.cpu, first.ring); err != nil {
		return fmt.Errorf("wait for running programs: %w", err)
	}
	return nil
}

// Stop ends sampling. Programs that are running go on until the next Barrier.
func (k *Kernel) Stop() error {
	var errs []error
	for _, c := range k.clocks {
		errs = append(errs, c.disable())
	}
	if k.hooks != nil {
		errs = append(errs, k.hooks.detach())
	}
	return errors.Join(errs...)
}

// Close stops sampling and gives everything back.
func (k *Kernel) Close() error {
	if k.closed {
		return nil
	}
	k.closed = true
	errs := []error{k.Stop()}
	for _, c := range k.clocks {
		errs = append(errs, c.close())
	}
	for _, b := range k.buffers {
		errs = append(errs, b.close())
	}
	if k.objects != nil {
		errs = append(errs, k.objects.Close())
	}
	return errors.Join(errs...)
}

func onlineCPUs() ([]int, error) {
	list, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return nil, fmt.Errorf("list online CPUs: %w", err)
	}
	return parseCPUs(string(list))
}

// explain adds what is usually missing to an error of a privileged call.
func explain(err error) error {
	var verifier *ebpf.VerifierError
	switch {
	case errors.As(err, &verifier):
		return fmt.Errorf("%w: the running kernel refuses the program; please report this with the kernel's version", err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: run as root or with CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_SYS_RESOURCE, and in a container without a seccomp profile that forbids bpf and perf_event_open", err)
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("%w: raise the limit of open files", err)
	default:
		return err
	}
}
