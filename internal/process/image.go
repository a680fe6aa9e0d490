// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/service"

// Image says what one generation of an instance executes, as /proc showed it.
// Immutable, so lives may share it.
type Image struct {
	Executable  string
	ContainerID string
	// Cgroup is its path in the hierarchy of version 2; "": not known.
	Cgroup    string
	ParentPID uint32
	// CommandArgs and Environment are what it was started with, if asked for.
	CommandArgs []string
	Environment map[string]string
	// Service is what its environment says of it.
	Service service.Service
}
