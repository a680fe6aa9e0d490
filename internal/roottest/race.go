// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build race

package roottest

const race = true
