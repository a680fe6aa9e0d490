// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/preflight"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// Kernel is the source that samples the running kernel.
type Kernel struct {
	settings Settings
	objects  *objects
	tables   *tables
	hooks    *hooks
	// cpus are those that have been online.
	cpus []*cpu
	// outlets are their buffers.
	outlets []outlet
	// spare is the first buffer: also the element that Barrier updates.
	spare *buffer
	// online is the kernel's list of CPUs when it was last looked at.
	online string
	// possible is how many CPUs there may be.
	possible int
	// paused: no CPU is sampled for now.
	paused bool
	closed bool
}

// outlet is a buffer that the kernel writes and we drain. Positions are in bytes
// since its creation.
type outlet interface {
	written() uint64
	// drain appends what there is up to the position limit to the batch. It returns
	// how far the buffer has been read, and whether the batch is full and there is
	// more.
	drain(limit uint64, batch *event.Batch) (position uint64, more bool)
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
	k := &Kernel{settings: s, paused: s.Paused}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.Close())
		}
	}()
	return k, k.open()
}

func (k *Kernel) open() (err error) {
	var online []int
	if k.online, online, err = onlineCPUs(); err != nil {
		return err
	}
	if c := k.settings.CPUs; len(c) > 0 && !slices.ContainsFunc(c, func(id int) bool { return slices.Contains(online, id) }) {
		return fmt.Errorf("cpus: none of %v is online: name some of CPU %s, which are", c, k.online)
	}
	if k.possible, err = ebpf.PossibleCPU(); err != nil {
		return fmt.Errorf("count the possible CPUs: %w", err)
	}
	if k.objects, err = load(k.settings, k.possible, online[0]); err != nil {
		return err
	}
	if k.tables, err = newTables(k.objects); err != nil {
		return err
	}
	for _, id := range online {
		if err := k.addBuffer(id); err != nil {
			return err
		}
	}
	k.spare = k.cpus[0].buffer
	// Before the first sample, so that each process that begins later is known.
	if k.hooks, err = attach(k.objects); err != nil {
		return err
	}
	return k.follow(online)
}

// Now reads the clock that stamps events.
func (k *Kernel) Now() event.KTime { return preflight.Now() }

// Buffers is the number of buffers to drain. It only grows, by UpdateCPUs.
func (k *Kernel) Buffers() int { return len(k.outlets) }

// Heads reads how far each buffer has been written.
func (k *Kernel) Heads(heads []uint64) {
	for i, o := range k.outlets {
		heads[i] = o.written()
	}
}

// Drain appends what a buffer holds up to the position limit to the batch, and
// returns how far the buffer has been read. It reports whether the batch is full
// and more may be had with another.
func (k *Kernel) Drain(buffer int, limit uint64, batch *event.Batch) (position uint64, more bool) {
	return k.outlets[buffer].drain(limit, batch)
}

// Barrier returns once every program that was running when it was called has
// ended: the kernel waits for a grace period after an update of a map of maps
// (maybe_wait_bpf_programs in kernel/bpf/syscall.c, v5.10 to v6.18).
func (k *Kernel) Barrier() error {
	passed := k.tables.barrier()
	err := k.objects.Rings.Put(k.spare.cpu, k.spare.ring)
	passed(err == nil)
	if err != nil {
		return fmt.Errorf("wait for running programs: %w", err)
	}
	return nil
}

// Place writes a table where the sampler reads it, and returns where it is. It may
// wait for a grace period, and be called beside the other methods.
func (k *Kernel) Place(t *unwind.Table) ([]unwind.Piece, error) { return k.tables.place(t) }

// Publish makes the sampler walk the stacks of an image by tables that have been
// placed. It may be called beside the other methods.
func (k *Kernel) Publish(s unwind.Space) error { return k.tables.publish(s) }

// Withdraw is told that an image is over. It may be called beside the other methods.
func (k *Kernel) Withdraw(s unwind.Space) error { return k.tables.withdraw(s) }

// Drop is told of pieces that no image uses which is published. It may be called beside
// the other methods.
func (k *Kernel) Drop(pieces []unwind.Piece) { k.tables.drop(pieces) }

// Rule reads the rule that holds at an offset from the base of a piece that has been
// placed. It may be called beside the other methods.
func (k *Kernel) Rule(p unwind.Piece, offset uint32) unwind.Rule { return k.tables.rule(p, offset) }

// Stop ends sampling. Programs that are running go on until the next Barrier.
func (k *Kernel) Stop() error {
	var errs []error
	for _, c := range k.cpus {
		errs = append(errs, c.retire())
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
	for _, c := range k.cpus {
		errs = append(errs, c.buffer.close(), c.mapped.close())
	}
	if k.tables != nil {
		errs = append(errs, k.tables.close())
	}
	if k.objects != nil {
		errs = append(errs, k.objects.Close())
	}
	return errors.Join(errs...)
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
