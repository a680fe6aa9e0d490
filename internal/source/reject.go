// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Reject makes the sampler drop the samples of a life, as long as there is room. It may
// be called beside the other methods.
func (k *Kernel) Reject(id event.LifeID) error {
	if err := k.objects.Rejected.Put(wireLife(id), uint8(1)); err != nil {
		return fmt.Errorf("have the sampler drop the samples of a process: %w", err)
	}
	return nil
}

// Readmit ends that. It may be called beside the other methods.
func (k *Kernel) Readmit(id event.LifeID) error {
	if err := k.objects.Rejected.Delete(wireLife(id)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("forget a process whose samples were dropped: %w", err)
	}
	return nil
}

func wireLife(id event.LifeID) bpf.ProfilerWireLife {
	return bpf.ProfilerWireLife{
		Start: uint64(id.Proc.Start), Generation: uint64(id.Generation), Pid: id.Proc.PID,
	}
}
