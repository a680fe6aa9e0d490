// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// group makes a control group and returns its id, which is its inode number.
func group(t *testing.T, path string) event.CgroupID {
	t.Helper()
	require.NoError(t, os.Mkdir(path, 0o755))
	t.Cleanup(func() { _ = os.Remove(path) })
	var s unix.Stat_t
	require.NoError(t, unix.Stat(path, &s))
	return event.CgroupID(s.Ino)
}

func TestContainerOfAGroup(t *testing.T) {
	roottest.Need(t)
	r := newReader(t)
	root, err := r.pathOf(int(r.groups))
	require.NoError(t, err, "no cgroup2 is mounted")
	id := strings.Repeat("d", 64)
	plain := filepath.Join(root, fmt.Sprintf("procfs-test-%d", os.Getpid()))
	scope := filepath.Join(plain, "docker-"+id+".scope")
	for _, tt := range []struct {
		path, want string
	}{
		{plain, ""},
		{scope, id},
		{filepath.Join(scope, "init.scope"), id},
	} {
		at, found, err := r.Group(group(t, tt.path))
		require.NoError(t, err)
		require.Equal(t, strings.TrimPrefix(tt.path, root), at)
		require.Equal(t, tt.want, found, tt.path)
	}
	gone := group(t, filepath.Join(scope, "gone"))
	require.NoError(t, os.Remove(filepath.Join(scope, "gone")))
	_, _, err = r.Group(gone)
	require.ErrorIs(t, err, unix.ESTALE)
	_, _, err = r.Group(1 << 60)
	require.ErrorIs(t, err, unix.ESTALE)
	at, found, err := r.Group(1)
	require.NoError(t, err)
	require.Equal(t, "/", at)
	require.Empty(t, found, "the root")
}

func TestWithoutGroups(t *testing.T) {
	r := &Reader{groups: openGroups(t.TempDir())}
	_, _, err := r.Group(1)
	require.ErrorContains(t, err, "no hierarchy of version 2 is mounted")
	require.NoError(t, r.groups.close())
}
