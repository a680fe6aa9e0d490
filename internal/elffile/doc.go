// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package elffile reads the headers of 64-bit little-endian ELF files.
//
// The file may be hostile, because any process on the host can map any file, so
// every count and size that it claims is checked against a limit and against the
// file before it is believed.
package elffile
