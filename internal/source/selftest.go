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
	_, err = catchInFlight(&o, func() error { return o.Rings.Put(uint32(0), inner) })
	// Not to be caught is no proof of anything. On one CPU without kernel
	// preemption no program can be in flight while user space runs, so there is
	// nothing to wait for; elsewhere it takes a machine that is very busy.
	return err
}

// catchTime bounds the tries to catch a program in flight.
const catchTime = time.Second

// catchInFlight lets the lingering program run again and again and looks for a
// moment at which it is running to begin the barrier. It reports whether there
// was one; the error is errBarrier if the barrier did not wait then.
func catchInFlight(o *bpf.SelftestObjects, barrier func() error) (caught bool, err error) {
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- lingerUntil(stop, o) }()
	defer func() {
		close(stop)
		err = errors.Join(err, <-done)
	}()
	var before, after bpf.SelftestSpan
	for deadline := time.Now().Add(catchTime); time.Now().Before(deadline); {
		if err := o.Spans.Lookup(uint32(0), &before); err != nil {
			return false, fmt.Errorf("watch the barrier test: %w", err)
		}
		if before.Entered <= before.Left {
			continue
		}
		if err := errors.Join(barrier(), o.Spans.Lookup(uint32(0), &after)); err != nil {
			return false, fmt.Errorf("run the barrier test: %w", err)
		}
		if after.Entered == before.Entered && after.Left < after.Entered {
			return true, errBarrier
		}
		return true, nil
	}
	return false, nil
}

func lingerUntil(stop <-chan struct{}, o *bpf.SelftestObjects) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	options := ebpf.RunOptions{Context: make([]byte, 2*unsafe.Sizeof(uint64(0)))}
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if _, err := o.Linger.Run(&options); err != nil {
			return fmt.Errorf("run the program of the barrier test: %w", err)
		}
	}
}
