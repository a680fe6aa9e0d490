// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

// Package preflight checks what the profiler needs of the host.
package preflight

import (
	"errors"
	"runtime"
)

// Check returns the one failure of every other system.
func Check() []error { return Host() }

// Privileges finds nothing wrong: it is the system that is.
func Privileges() []error { return nil }

// Host returns the one failure of every other system.
func Host() []error {
	return []error{errors.New("ebpf_profiler profiles Linux hosts only, this is " + runtime.GOOS)}
}
