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
func group(t *testing.T, path string) uint64 {
	t.Helper()
	require.NoError(t, os.Mkdir(path, 0o755))
	t.Cleanup(func() { _ = os.Remove(path) })
	var s unix.Stat_t
	require.NoError(t, unix.Stat(path, &s))
	return s.Ino
}

// hierarchies are those that this host has, with what makes an id of theirs.
func hierarchies(t *testing.T, r *Reader) map[string]func(uint64) event.CgroupID {
	t.Helper()
	out := map[string]func(uint64) event.CgroupID{}
	for h, id := range map[hierarchy]func(uint64) event.CgroupID{
		r.groups.unified: func(n uint64) event.CgroupID { return event.CgroupID{Unified: n, Legacy: 1} },
		r.groups.legacy:  func(n uint64) event.CgroupID { return event.CgroupID{Unified: 1, Legacy: n} },
	} {
		if h < 0 {
			continue
		}
		root, err := r.pathOf(int(h))
		require.NoError(t, err)
		out[root] = id
	}
	require.NotEmpty(t, out, "no control groups are mounted")
	return out
}

func TestContainerOfAGroup(t *testing.T) {
	roottest.Need(t)
	r := newReader(t)
	require.True(t, r.TellsContainers())
	id := strings.Repeat("d", 64)
	for root, of := range hierarchies(t, r) {
		plain := filepath.Join(root, fmt.Sprintf("procfs-test-%d", os.Getpid()))
		scope := filepath.Join(plain, "docker-"+id+".scope")
		nspawn := filepath.Join(plain, "systemd-nspawn@box.service")
		for _, tt := range []struct {
			path, want string
		}{
			{plain, ""},
			{scope, id},
			{filepath.Join(scope, "init.scope"), id},
			{nspawn, "box"},
			{filepath.Join(nspawn, "payload"), "box"},
			{filepath.Join(nspawn, "supervisor"), ""},
		} {
			at, found, err := r.Group(of(group(t, tt.path)))
			require.NoError(t, err)
			switch {
			case of(2).Unified == 2:
				require.Equal(t, strings.TrimPrefix(tt.path, root), at)
			case r.groups.unified >= 0:
				require.Equal(t, "/", at, "the path of version 2")
			default:
				require.Empty(t, at, "the path of version 2")
			}
			require.Equal(t, tt.want, found, tt.path)
		}
		before := openFiles(t)
		_, _, err := r.Group(of(1))
		require.NoError(t, err)
		r.Members(of(1))
		require.Equal(t, before, openFiles(t))
		gone := of(group(t, filepath.Join(scope, "gone")))
		require.NoError(t, os.Remove(filepath.Join(scope, "gone")))
		_, _, err = r.Group(gone)
		require.ErrorIs(t, err, unix.ESTALE)
		_, _, err = r.Group(of(1 << 60))
		require.ErrorIs(t, err, unix.ESTALE)
		_, found, err := r.Group(of(1))
		require.NoError(t, err)
		require.Empty(t, found, "the root")
	}
}

// What is in one hierarchy counts also where the other has, or tells, nothing.
func TestAGroupOfOneHierarchy(t *testing.T) {
	roottest.Need(t)
	r := newReader(t)
	if r.groups.unified < 0 || r.groups.legacy < 0 {
		roottest.Lacks(t, "this host has no two hierarchies")
	}
	id := strings.Repeat("e", 64)
	made := map[hierarchy]uint64{}
	for _, h := range []hierarchy{r.groups.unified, r.groups.legacy} {
		root, err := r.pathOf(int(h))
		require.NoError(t, err)
		made[h] = group(t, filepath.Join(root, "docker-"+id+".scope"))
	}
	const root, none = 1, 1 << 60
	for _, tt := range []struct {
		id        event.CgroupID
		path      string
		container string
		err       error
	}{
		{event.CgroupID{Unified: made[r.groups.unified], Legacy: none}, "/docker-" + id + ".scope", id, unix.ESTALE},
		{event.CgroupID{Unified: made[r.groups.unified], Legacy: root}, "/docker-" + id + ".scope", id, nil},
		{event.CgroupID{Unified: root, Legacy: none}, "/", "", unix.ESTALE},
		{event.CgroupID{Unified: root, Legacy: made[r.groups.legacy]}, "/", id, nil},
		{event.CgroupID{Unified: none, Legacy: made[r.groups.legacy]}, "", id, unix.ESTALE},
		{event.CgroupID{Unified: none, Legacy: none}, "", "", unix.ESTALE},
	} {
		path, container, err := r.Group(tt.id)
		require.ErrorIs(t, err, tt.err)
		require.Equal(t, tt.path, path)
		require.Equal(t, tt.container, container)
	}
}

func TestMembersOfAContainer(t *testing.T) {
	roottest.Need(t)
	r := newReader(t)
	for root, of := range hierarchies(t, r) {
		plain := filepath.Join(root, fmt.Sprintf("procfs-test-%d", os.Getpid()))
		scope := filepath.Join(plain, "docker-"+strings.Repeat("d", 64)+".scope")
		outside, inside := of(group(t, plain)), of(group(t, scope))
		require.Empty(t, r.Members(inside))
		for _, path := range []string{plain, scope} {
			c := start(t, "/proc/self/exe")
			require.NoError(t, os.WriteFile(filepath.Join(path, "cgroup.procs"), []byte(fmt.Sprint(c.pid)), 0))
			if path == scope {
				require.Equal(t, []uint32{c.pid}, r.Members(inside))
			}
			t.Cleanup(func() {
				require.NoError(t, os.WriteFile(filepath.Join(root, "cgroup.procs"), []byte(fmt.Sprint(c.pid)), 0))
			})
		}
		require.Empty(t, r.Members(outside), "what is of no container sees the host's files")
	}
}

func TestParsePIDs(t *testing.T) {
	require.Equal(t, []uint32{7, 8}, parsePIDs([]byte("7\n0\n8\n99999999999\nx\n9")))
	require.Len(t, parsePIDs([]byte(strings.Repeat("7\n", 99))), maxMembers)
}

func TestHierarchiesOfAHost(t *testing.T) {
	for _, name := range []string{"sys/fs/cgroup", "sys/fs/cgroup/unified", "sys/fs/cgroup/memory"} {
		root := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(root, name), 0o755))
		require.Equal(t, groups{-1, -1, ""}, openGroups(root), "directories are no hierarchies")
	}
}

func TestWithoutGroups(t *testing.T) {
	r := &Reader{groups: openGroups(t.TempDir())}
	_, _, err := r.Group(event.CgroupID{Unified: 1, Legacy: 1})
	require.ErrorIs(t, err, errNoHierarchy)
	require.Empty(t, r.Members(event.CgroupID{Unified: 1, Legacy: 1}))
	require.False(t, r.TellsContainers())
	require.NoError(t, r.groups.close())
}
