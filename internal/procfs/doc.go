// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package procfs reads /proc of the host: what a process maps, which program and
// which container it is.
//
// /proc is a slow and racy source. A process may exit, and its PID be reused,
// between any two files; so everything about a process is read through one handle
// of its directory, which the kernel ties to the process, not to the number, and
// the answer says between which times it was read. Whether it may be believed is
// for others to decide, who see the exits.
package procfs
