// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "os"

// terminal does not matter where the collector cannot run.
func terminal(*os.File) bool { return false }
