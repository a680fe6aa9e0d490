// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package symbol names addresses: it reads executable files and the kernel's
// symbol list into compact, immutable tables and looks function names up.
//
// It is pure: bytes in, tables out. What it reads may be hostile, because any
// process on the host can map any file, so every count and size that a file
// claims is checked against a limit and against the file before it is believed.
package symbol
