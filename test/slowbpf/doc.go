// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package slowbpf has programs that are slow to publish what they stamped. They
// test the barrier and are no part of the receiver.
package slowbpf

//go:generate go tool -modfile=../../internal/tools/go.mod bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64,arm64 -tags linux -type record -type kind -type in_flight -type lost Slow slow.bpf.c -- -O2 -Wall -Werror -mcpu=v3
