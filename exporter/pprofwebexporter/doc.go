// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package pprofwebexporter is an OpenTelemetry Collector exporter that keeps the
// newest profiles and serves them to a browser, with the web views of pprof. Its
// type is pprof_web.
package pprofwebexporter

//go:generate ../../internal/tools/mdatagen.sh exporter/pprofwebexporter
