// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package receiver

import (
	"errors"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/preflight"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/source"
)

// OpenKernel says that there is nothing to sample here.
func OpenKernel(source.Settings) (Source, error) {
	return nil, errors.Join(preflight.Check()...)
}

func newReader(Settings) (reader, error) { return nil, errors.Join(preflight.Check()...) }

func bootTime() int64 { return 0 }

func (Settings) degradations(reader) []error { return nil }
