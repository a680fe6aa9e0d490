// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

func TestOpenMapped(t *testing.T) {
	r, path := newReader(t), copyOfSelf(t)
	c := start(t, path)
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	check := func() {
		t.Helper()
		p, err := r.Read(c.pid)
		require.NoError(t, err)
		assert.Equal(t, path, p.Executable)
		f, err := r.OpenMapped([]uint32{c.pid}, programMapping(t, p), nil)
		require.NoError(t, err)
		defer f.Close()
		got, err := io.ReadAll(f)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, got))
	}
	check()
	// By the path a deleted file cannot be had, nor one that another took the
	// place of. By the mapping it can.
	needMapFiles(t)
	require.NoError(t, os.Remove(path))
	check()
	require.NoError(t, os.WriteFile(path, []byte("another"), 0o700))
	check()
}

// needMapFiles skips the test where map_files is out of reach.
func needMapFiles(t *testing.T) {
	t.Helper()
	p, err := newReader(t).Read(uint32(os.Getpid()))
	require.NoError(t, err)
	if _, err := keyOf(unix.AT_FDCWD, "/proc/self/"+mapFile(p.Mappings[0])); errors.Is(err, unix.EPERM) {
		roottest.Lacks(t, "map_files needs CAP_CHECKPOINT_RESTORE")
	}
}

func TestReplaced(t *testing.T) {
	r, path := newReader(t), copyOfSelf(t)
	c := start(t, path)
	p, err := r.Read(c.pid)
	require.NoError(t, err)
	m := programMapping(t, p)
	for name, change := range map[string]func(*event.File){
		"device": func(k *event.File) { k.Device++ }, "inode": func(k *event.File) { k.Inode++ },
		"time": func(k *event.File) { k.ChangeTime++ }, "size": func(k *event.File) { k.Size++ },
	} {
		other := m
		change(&other.File)
		_, err = r.OpenMapped([]uint32{c.pid}, other, nil)
		assert.ErrorIs(t, err, ErrReplaced, name)
	}
	// For real: the inode changes, which its ctime shows.
	require.NoError(t, os.Chmod(path, 0o755))
	_, err = r.OpenMapped([]uint32{c.pid}, m, nil)
	assert.ErrorIs(t, err, ErrReplaced)

	m.File = event.File{}
	_, err = r.OpenMapped([]uint32{c.pid}, m, nil)
	assert.ErrorIs(t, err, ErrNoFile)
}

// The kernel's records have inode and generation, and on some file systems another
// device than stat.
func TestOpenRecorded(t *testing.T) {
	r, path := newReader(t), copyOfSelf(t)
	c := start(t, path)
	p, err := r.Read(c.pid)
	require.NoError(t, err)
	m := programMapping(t, p)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	generation, err := unix.IoctlGetUint32(int(f.Fd()), fsIocGetVersion)
	tells := err == nil
	found := m.File
	m.File = event.File{Device: found.Device + 1, Inode: found.Inode, Generation: uint64(generation)}
	opens := func(m event.Mapping) bool {
		f, err := r.OpenMapped([]uint32{c.pid}, m, nil)
		if err != nil {
			require.ErrorIs(t, err, ErrReplaced)
			return false
		}
		require.NoError(t, f.Close())
		return true
	}
	needMapFiles(t)
	require.True(t, opens(m), "by its addresses")
	m.File.Inode++
	require.False(t, opens(m))
	m.File.Inode--
	m.Start += 4096 // no such mapping: by its path
	require.Equal(t, tells, opens(m), "by the generation, if the file system tells")
	m.File.Device = found.Device
	require.True(t, opens(m))
	m.File.Generation++
	require.Equal(t, !tells, opens(m))
}

// Without map_files the path leads to the file; what is there instead is neither
// taken for it nor waited for.
func TestOpenByPath(t *testing.T) {
	r, dir := newReader(t), t.TempDir()
	pid := uint32(os.Getpid())
	path := filepath.Join(dir, "lib.so")
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
	h, err := r.open(pid)
	require.NoError(t, err)
	defer h.close()
	// No such range is mapped, so it is the path that counts.
	m := event.Mapping{Start: 0x1000, End: 0x2000, Path: path}
	info, err := os.Stat(path)
	require.NoError(t, err)
	inode := info.Sys().(*syscall.Stat_t).Ino
	m.File = h.key(m, inode)
	require.NotZero(t, m.File)
	assert.Zero(t, h.key(m, inode+1), "another file is there now")

	f, err := r.OpenMapped([]uint32{pid}, m, nil)
	require.NoError(t, err)
	got, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	assert.Equal(t, "content", string(got))

	require.NoError(t, os.Remove(path))
	_, err = r.OpenMapped([]uint32{pid}, m, nil)
	assert.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, unix.Mkfifo(path, 0o600))
	_, err = r.OpenMapped([]uint32{pid}, m, nil) // an open would wait for a writer
	assert.ErrorIs(t, err, ErrNoFile)
	m.Path = "/dev/zero"
	_, err = r.OpenMapped([]uint32{pid}, m, nil)
	assert.ErrorIs(t, err, ErrNoFile)
	m.Path = "[vdso]"
	_, err = r.OpenMapped([]uint32{pid}, m, nil)
	assert.ErrorIs(t, err, ErrNoFile)
}

// Links in a path belong to the root of the process, not to ours.
func TestOpenByPathStaysInRoot(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "etc"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc", "passwd"), []byte("inside"), 0o600))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(root, "absolute")))
	require.NoError(t, os.Symlink("../../../../../../../../etc/passwd", filepath.Join(root, "upwards")))
	// A directory whose root is root, as in /proc/PID.
	dir := t.TempDir()
	require.NoError(t, os.Symlink(root, filepath.Join(dir, "root")))
	fd, err := openat(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY)
	require.NoError(t, err)
	defer unix.Close(fd)
	inside, err := handle(fd).root()
	require.NoError(t, err)
	defer unix.Close(inside)
	want, err := keyOf(unix.AT_FDCWD, filepath.Join(root, "etc", "passwd"))
	require.NoError(t, err)
	for _, name := range []string{"/absolute", "/upwards", "/../../etc/passwd"} {
		got, err := openByPath(inside, name)
		require.NoError(t, err)
		key, err := keyOf(got, "")
		unix.Close(got)
		require.NoError(t, err)
		assert.Equal(t, want, key, name)
	}
}
