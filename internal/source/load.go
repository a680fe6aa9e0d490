// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
)

// objects are the programs and maps in the kernel.
type objects struct {
	bpf.ProfilerPrograms
	bpf.ProfilerMaps
	// inParts: the sampler of kernels without bpf_loop is used.
	inParts bool
}

// sampler is the program that runs on every tick.
func (o *objects) sampler() *ebpf.Program {
	if o.inParts {
		return o.SampleCpuInParts
	}
	return o.SampleCpu
}

func (o *objects) Close() error {
	return errors.Join(o.ProfilerPrograms.Close(), o.ProfilerMaps.Close())
}

// load puts programs and maps into the kernel, with room for every CPU that may
// come online. Those without a ring use the spare one.
func load(s Settings, possible, spare int) (*objects, error) {
	// Before 5.11 the memory of maps counts against RLIMIT_MEMLOCK.
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, explain(fmt.Errorf("lift the limit of locked memory: %w", err))
	}
	spec, err := bpf.LoadProfiler()
	if err != nil {
		return nil, fmt.Errorf("read the embedded programs: %w", err)
	}
	entries := uint32(possible)
	spec.Maps[bpf.ProfilerMapRings].MaxEntries = entries
	spec.Maps[bpf.ProfilerMapRings].InnerMap.MaxEntries = uint32(s.ringSize())
	spec.Maps[bpf.ProfilerMapCounters].MaxEntries = entries
	spec.Maps[bpf.ProfilerMapChunks].MaxEntries = maxChunks
	spec.Maps[bpf.ProfilerMapSpaces].MaxEntries = maxSpaces
	spec.Maps[bpf.ProfilerMapRejected].MaxEntries = uint32(max(s.MaxRejected, 1))
	version, err := features.LinuxVersionCode()
	if err != nil {
		return nil, fmt.Errorf("read the kernel's version: %w", err)
	}
	rejecting := uint8(0)
	if s.MaxRejected > 0 {
		rejecting = 1
	}
	variables := map[string]any{
		bpf.ProfilerVarWorkerFlags: workerFlags(version),
		bpf.ProfilerVarSpareRing:   uint32(spare),
		bpf.ProfilerVarCopyBudget:  uint32(s.CopiesPerSecond() / 8),
		bpf.ProfilerVarKernelStack: kernelStack(),
		bpf.ProfilerVarMinAge:      uint64(s.MinAge),
		bpf.ProfilerVarRejecting:   rejecting,
	}
	if s.LegacyController != "" {
		if variables[bpf.ProfilerVarLegacyController], err = controllerID(s.LegacyController); err != nil {
			return nil, err
		}
	}
	for name, value := range variables {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
	}
	o := objects{inParts: s.walkInParts || !hasLoop()}
	leaveOut(spec, o.inParts)
	if err := spec.LoadAndAssign(&o, nil); err != nil {
		return nil, explain(fmt.Errorf("load the programs: %w", err))
	}
	return &o, nil
}

// hasLoop reports whether the kernel has bpf_loop, by which the sampler walks stacks
// since Linux 5.17.
func hasLoop() bool { return features.HaveProgramHelper(ebpf.PerfEvent, asm.FnLoop) == nil }

// leaveOut empties the programs of the sampler that is not used: the kernel may refuse
// them, and takes a while to check them.
func leaveOut(spec *ebpf.CollectionSpec, inParts bool) {
	unused := []string{bpf.ProfilerProgSampleCpuInParts, bpf.ProfilerProgWalkPart}
	if inParts {
		unused = []string{bpf.ProfilerProgSampleCpu}
	}
	for _, name := range unused {
		spec.Programs[name].Instructions = asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	}
}

// kernelStack is the size of kernel stacks: THREAD_SIZE in
// arch/x86/include/asm/page_64_types.h and arch/arm64/include/asm/memory.h, v5.10. Where
// a kernel has larger ones, to look for memory errors, the sampler notices.
func kernelStack() uint64 {
	const size = 16 << 10
	if runtime.GOARCH == "arm64" {
		return uint64(max(size, os.Getpagesize()))
	}
	return size
}

// controllerID is the number that the running kernel gives a controller: its
// <name>_cgrp_id in include/linux/cgroup_subsys.h, which depends on how it was built.
func controllerID(name string) (uint32, error) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return 0, fmt.Errorf("read the kernel's types: %w", err)
	}
	var ids *btf.Enum
	if err := kernel.TypeByName("cgroup_subsys_id", &ids); err != nil {
		return 0, fmt.Errorf("find the kernel's controllers: %w", err)
	}
	for _, v := range ids.Values {
		if v.Name == name+"_cgrp_id" {
			return uint32(v.Value), nil
		}
	}
	return 0, fmt.Errorf("the kernel has no controller %q", name)
}

// workerFlags are the PF_* bits in include/linux/sched.h of tasks that never run
// user code. A version is coded as in KERNEL_VERSION.
func workerFlags(version uint32) uint32 {
	const (
		kthread    = 0x0020_0000
		ioWorker   = 0x0000_0010 // not a kthread since 5.12
		userWorker = 0x0000_4000 // since 6.4, before that another flag
	)
	flags := uint32(kthread)
	if version >= 5<<16|12<<8 {
		flags |= ioWorker
	}
	if version >= 6<<16|4<<8 {
		flags |= userWorker
	}
	return flags
}

// lifecyclePrograms are those whose skipped runs lose lifecycle records.
func (o *objects) lifecyclePrograms() []*ebpf.Program {
	return []*ebpf.Program{o.ProcessFork, o.ProcessExec, o.ProcessExit, o.ProcessFree}
}
