// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package convert turns OTLP profiles into those of pprof, and into folded text.
// It computes and does nothing else.
package convert
