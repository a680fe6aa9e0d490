// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package bpf holds the kernel side: the programs in C, the objects compiled
// from them, and bindings generated from the objects' own type information.
//
// The objects are committed, so building needs no compiler for BPF. After a
// change to the C files run go generate, with clang-19 and libbpf-dev installed.
package bpf

//go:generate go tool -modfile=../internal/tools/go.mod bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64,arm64 -tags linux -type wire_head -type wire_life -type wire_lifecycle -type wire_kind -type wire_user_stack -type wire_region -type wire_row -type wire_rule -type wire_space -type wire_cfa -type wire_place -type wire_leap -type wire_context -type wire_local Profiler profiler.bpf.c -- -O2 -Wall -Werror -mcpu=v2
//go:generate go tool -modfile=../internal/tools/go.mod bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64,arm64 -tags linux -type span Selftest selftest.bpf.c -- -O2 -Wall -Werror -mcpu=v2
