// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package profile counts equal stacks within a window of time and turns the
// window into OTLP profiles.
//
// It is pure: the same samples, settings and names give the same bytes.
package profile
