// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"errors"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/preflight"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/source"
)

// OpenKernel samples the running kernel.
func OpenKernel(s source.Settings) (Source, error) {
	k, err := source.Open(s)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// degradations returns what will be less than was configured, each with its cure.
func (s Settings) degradations(r reader) (out []error) {
	add := func(err error) {
		if err != nil {
			out = append(out, err)
		}
	}
	add(preflight.SampleRate(s.SamplesPerSecond))
	if s.Names.Kernel {
		add(preflight.KernelAddresses())
	}
	closed := preflight.OwnersFiles()
	add(closed)
	if closed == nil && !r.tellsContainers() {
		add(errControlGroups)
	}
	return out
}

var errControlGroups = errors.New("control groups cannot be looked up, so processes too short-lived for /proc have no container: mount /sys/fs/cgroup below root_path, with all that is mounted in it")
