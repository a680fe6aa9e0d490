// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package ebpfprofilerreceiver is an OpenTelemetry Collector receiver that
// samples every CPU of a Linux host with eBPF and sends symbolized profiles down
// the pipeline. Its type is ebpf_profiler.
package ebpfprofilerreceiver

//go:generate internal/tools/mdatagen.sh
