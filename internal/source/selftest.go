// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
)

// errBarrier means that the one kernel property everything rests on is gone.
var errBarrier = errors.New("an update of a map of maps returned while a program was still running: " +
	"this kernel gives no barrier to build a watermark on; please report its version")

// barrierAttempts bounds the tries to catch a program in flight.
const barrierAttempts = 8

// testBarrier proves on the running kernel that an update of a map of maps waits
// for running programs: it lets one run for milliseconds on another thread,
// updates meanwhile, and looks whether the program has left.
func testBarrier() error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return explain(fmt.Errorf("lift the limit of locked memory: %w", err))
	}
	var o bpf.SelftestObjects
	if err := bpf.LoadSelftestObjects(&o, nil); err != nil {
		return explain(fmt.Errorf("load the barrier test: %w", err))
	}
	defer o.Close()
	inner, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 4096})
	if err != nil {
		return explain(fmt.Errorf("make a ring buffer for the barrier test: %w", err))
	}
	defer inner.Close()
	for range barrierAttempts {
		caught, err := catchInFlight(&o, func() error { return o.Rings.Put(uint32(0), inner) })
		if caught || err != nil {
			return err
		}
	}
	// On one CPU without kernel preemption no program can be in flight while
	// user space runs, so there is nothing to catch and nothing to wait for.
	return nil
}

// catchInFlight runs the lingering program and, while it runs, the barrier. It
// reports whether the program was in flight when the barrier began.
func catchInFlight(o *bpf.SelftestObjects, barrier func() error) (caught bool, err error) {
	if err := o.Spans.Put(uint32(0), bpf.SelftestSpan{}); err != nil {
		return false, fmt.Errorf("reset the barrier test: %w", err)
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_, err := o.Linger.Run(&ebpf.RunOptions{Context: make([]byte, 2*unsafe.Sizeof(uint64(0)))})
		done <- err
	}()
	deadline := time.Now().Add(time.Second)
	var before, after bpf.SelftestSpan
	for before.Entered == 0 && time.Now().Before(deadline) {
		if err := o.Spans.Lookup(uint32(0), &before); err != nil {
			return false, errors.Join(fmt.Errorf("watch the barrier test: %w", err), <-done)
		}
	}
	err = barrier()
	err = errors.Join(err, o.Spans.Lookup(uint32(0), &after), <-done)
	if err != nil {
		return false, fmt.Errorf("run the barrier test: %w", err)
	}
	caught = before.Entered != 0 && before.Left == 0
	if caught && after.Left == 0 {
		return true, errBarrier
	}
	return caught, nil
}
