// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// With this file the compiler accepts a function without body.
