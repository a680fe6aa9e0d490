// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package procfs

import (
	"errors"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/service"
)

var (
	// ErrGone: the process is no more.
	ErrGone = errors.New("the process is gone")
	// ErrReplaced: the file is not the one that was mapped, or has changed since.
	ErrReplaced = errors.New("the file is not the mapped one, or has changed")
	// ErrNoFile: nothing that could be read is behind the mapping.
	ErrNoFile = errors.New("the mapping has no regular file")
)

// Process is what /proc showed of one process between From and To.
type Process struct {
	From, To event.KTime
	// StartTick is the start of the process in ticks of 10 ms (USER_HZ is 100
	// everywhere): its event.BootTime divided by 1e7.
	StartTick uint64
	ParentPID uint32
	// Executable is the path of the program as the process' mount namespace has
	// it. It is empty for kernel threads and zombies.
	Executable string
	// ContainerID is the innermost container's, 64 hex digits or the name of one of
	// systemd-nspawn; empty outside of containers.
	ContainerID string
	// Cgroup is its path in the hierarchy of version 2; empty without one.
	Cgroup string
	// CommandArgs and Environment are what was asked for and could be read.
	CommandArgs []string
	Environment map[string]string
	// Service is what the environment says of it. Malformed counts the variables of which
	// nothing was taken.
	Service   service.Service
	Malformed int
	// Mappings are the executable ones, ascending.
	Mappings []event.Mapping
	// Truncated counts executable mappings that were left out for a limit.
	Truncated int
}
