// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
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

// degradations returns what will be less than was configured.
func (s Settings) degradations() error { return preflight.SampleRate(s.SamplesPerSecond) }
