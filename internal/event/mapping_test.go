// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package event

import "testing"

// TestVDSO: that of a 32-bit process is other code with the same name.
func TestVDSO(t *testing.T) {
	for m, want := range map[Mapping]bool{
		{Start: 0x7ffc00000000, End: 0x7ffc00002000, Path: "[vdso]"}:                       true,
		{Start: 0xf7f00000, End: 0xf7f02000, Path: "[vdso]"}:                               false,
		{Start: 0x7ffc00000000, End: 0x7ffc00002000, Path: "[vdso]", File: File{Inode: 1}}: false,
		{Start: 0x7ffc00000000, End: 0x7ffc00002000, Path: "/tmp/[vdso]"}:                  false,
		{Start: 0x7ffc00000000, End: 0x7ffc00002000, Path: "[vvar]"}:                       false,
	} {
		if m.VDSO() != want {
			t.Error(m, !want)
		}
	}
}

func TestMade(t *testing.T) {
	file := File{Device: 1, Inode: 9}
	for m, want := range map[Mapping]bool{
		{}:                               true,
		{Path: "[heap]"}:                 true,
		{Path: "[anon:v8]"}:              true,
		{Path: "[vdso]"}:                 false,
		{Path: "[vsyscall]"}:             false,
		{Path: "/usr/bin/x"}:             false,
		{Path: "/usr/bin/x", File: file}: false,
		{Path: "/memfd:doublemapper", File: file}:               true,
		{Path: "/memfd:runc_cloned", File: file, BuildID: "ab"}: false,
		{Path: "/dev/zero", File: file}:                         true,
		{Path: "/SYSV00000000", File: file}:                     true,
	} {
		if m.Made() != want {
			t.Error(m, !want)
		}
	}
}
