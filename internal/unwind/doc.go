// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package unwind compiles the call frame information of executable files (DWARF
// 5 section 6.4, and the LSB's .eh_frame), and the line tables of Go programs, into tables of rows that a stack
// unwinder can search, for amd64 and arm64.
//
// It is pure: bytes in, tables out. What it reads may be hostile, because any
// process on the host can map any file. Nothing that a file holds makes it fail
// other than by an error, and time and memory are bounded by limits and by the
// size of what it reads.
//
// A table is only as right as the compiler that described the frames. The Go
// toolchain does not say where its functions save the frame pointer, so on amd64
// they are described by their line table instead; on arm64, past a frame of Go code
// it is not what Step says.
package unwind
