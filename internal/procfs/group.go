// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// groups is the root of the control groups of version 2, or -1.
type groups int

// openGroups opens the hierarchy where distributions mount it, alone or beside
// those of version 1. Without it processes are asked for their groups.
func openGroups(rootPath string) groups {
	for _, path := range []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"} {
		fd, err := openat(unix.AT_FDCWD, filepath.Join(rootPath, path), unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			continue
		}
		var s unix.Statfs_t
		err = retry(func() error { return unix.Fstatfs(fd, &s) })
		if err == nil && s.Type == unix.CGROUP2_SUPER_MAGIC {
			return groups(fd)
		}
		unix.Close(fd)
	}
	return -1
}

func (g groups) close() error {
	if g < 0 {
		return nil
	}
	return unix.Close(int(g))
}

// fileidKernfs is the kind of file handle that holds an id and nothing else
// (include/linux/exportfs.h, v5.10 to v6.18).
const fileidKernfs = 0xfe

// open opens the directory of a group.
func (g groups) open(id event.CgroupID) (fd int, err error) {
	if g < 0 {
		return -1, errors.New("no hierarchy of version 2 is mounted")
	}
	handle := unix.NewFileHandle(fileidKernfs, binary.NativeEndian.AppendUint64(nil, uint64(id)))
	err = retry(func() (err error) {
		fd, err = unix.OpenByHandleAt(int(g), handle, unix.O_PATH|unix.O_CLOEXEC)
		return err
	})
	return fd, err
}

// TellsContainers reports whether Group knows the containers of all processes:
// there is no other hierarchy, and we may look groups up.
func (r *Reader) TellsContainers() bool {
	fd, err := openat(unix.AT_FDCWD, filepath.Join(r.root, "sys/fs/cgroup"), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var s unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &s) }); err != nil || s.Type != unix.CGROUP2_SUPER_MAGIC {
		return false
	}
	var own unix.Stat_t
	if err := unix.Fstat(fd, &own); err != nil {
		return false
	}
	group, err := r.groups.open(event.CgroupID(own.Ino)) // kernfs: an inode's number is its id
	if err != nil {
		return false
	}
	unix.Close(group)
	return true
}

// Group returns the path of a control group below the root of its hierarchy, and the ID
// of the innermost container that it is of, "" if of none. No process of it need exist,
// but the group must. It needs CAP_DAC_READ_SEARCH.
func (r *Reader) Group(id event.CgroupID) (path, container string, err error) {
	fd, err := r.groups.open(id)
	if err != nil {
		return "", "", fmt.Errorf("control group %d: %w", id, err)
	}
	defer unix.Close(fd)
	root, rootErr := r.pathOf(int(r.groups))
	path, err = r.pathOf(fd)
	if err := errors.Join(rootErr, err); err != nil {
		return "", "", fmt.Errorf("control group %d: %w", id, err)
	}
	if path = strings.TrimPrefix(path, root); path == "" {
		path = "/"
	}
	return path, containerOf([]byte(path)), nil
}

// pathOf returns the path of an open file.
func (r *Reader) pathOf(fd int) (string, error) {
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(r.proc, "self/fd/"+strconv.Itoa(fd), buf[:])
	if err != nil {
		return "", fmt.Errorf("its path: %w", err)
	}
	return string(buf[:n]), nil
}
