// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package view renders profiles with the web views of pprof, and lets them do
// nothing else: no file is read or written, no program is started, nothing is
// looked up.
package view
