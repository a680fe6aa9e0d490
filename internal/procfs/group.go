// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// hierarchy is the root of a hierarchy of control groups, or -1.
type hierarchy int

// groups are the hierarchies by which processes are found: that of version 2, and one
// of version 1 where there are some, with its controller.
type groups struct {
	unified, legacy hierarchy
	controller      string
}

// controllers are those of version 1 by which groups are told, the first that there is:
// container runtimes make a group in each of them.
var controllers = []string{"memory", "pids", "cpu", "devices", "freezer"}

// openGroups opens the hierarchies where distributions mount them. Without any,
// processes are asked for their groups.
func openGroups(rootPath string) groups {
	at := filepath.Join(rootPath, "sys/fs/cgroup")
	g := groups{openHierarchy(at, unix.CGROUP2_SUPER_MAGIC), -1, ""}
	if g.unified >= 0 {
		return g
	}
	g.unified = openHierarchy(filepath.Join(at, "unified"), unix.CGROUP2_SUPER_MAGIC)
	for _, c := range controllers {
		if g.legacy = openHierarchy(filepath.Join(at, c), unix.CGROUP_SUPER_MAGIC); g.legacy >= 0 {
			g.controller = c
			break
		}
	}
	return g
}

func openHierarchy(path string, magic int64) hierarchy {
	fd, err := openat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return -1
	}
	var s unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &s) }); err != nil || s.Type != magic {
		unix.Close(fd)
		return -1
	}
	return hierarchy(fd)
}

func (g groups) close() error { return errors.Join(g.unified.close(), g.legacy.close()) }

func (h hierarchy) close() error {
	if h < 0 {
		return nil
	}
	return unix.Close(int(h))
}

// fileidKernfs is the kind of file handle that holds an id and nothing else
// (include/linux/exportfs.h, v5.10 to v6.18).
const fileidKernfs = 0xfe

// open opens the directory of a group.
func (h hierarchy) open(id uint64) (fd int, err error) {
	handle := unix.NewFileHandle(fileidKernfs, binary.NativeEndian.AppendUint64(nil, id))
	err = retry(func() (err error) {
		fd, err = unix.OpenByHandleAt(int(h), handle, unix.O_PATH|unix.O_CLOEXEC)
		return err
	})
	return fd, err
}

// opens reports whether we may look groups up.
func (h hierarchy) opens() bool {
	var own unix.Stat_t
	if h < 0 || unix.Fstat(int(h), &own) != nil {
		return false
	}
	group, err := h.open(own.Ino) // kernfs: an inode's number is its id
	if err != nil {
		return false
	}
	unix.Close(group)
	return true
}

// LegacyController is the controller in whose hierarchy of version 1 groups are looked
// up, "" if there is none.
func (r *Reader) LegacyController() string { return r.groups.controller }

// TellsContainers reports whether Group knows the containers of all processes: we
// may look groups up, where there are controllers of version 1 in the hierarchy of one.
func (r *Reader) TellsContainers() bool {
	if r.groups.controller != "" {
		return r.groups.legacy.opens() && (r.groups.unified < 0 || r.groups.unified.opens())
	}
	return r.groups.unified.opens()
}

// Group returns the path of a control group in the hierarchy of version 2, "" if it is not
// there, and the ID of the innermost container that it is of, "" if of none, by either
// hierarchy. No process of it need exist, but the group must. It needs CAP_DAC_READ_SEARCH.
// With an error that is what could be found: it may be of a container.
func (r *Reader) Group(id event.CgroupID) (path, container string, err error) {
	unified, legacy, err := r.find(id)
	unified.close()
	legacy.close()
	return unified.path, cmp.Or(unified.container, legacy.container), err
}

var errNoHierarchy = errors.New("no hierarchy of control groups is mounted")

// place is a group in a hierarchy, and its directory; -1 if there is none.
type place struct {
	hierarchy
	path, container string
}

var nowhere = place{hierarchy: -1}

// find looks a group up in the hierarchies that there are.
func (r *Reader) find(id event.CgroupID) (unified, legacy place, err error) {
	if r.groups.unified < 0 && r.groups.legacy < 0 {
		return nowhere, nowhere, errNoHierarchy
	}
	unified, unifiedErr := r.findIn(r.groups.unified, id.Unified)
	legacy, legacyErr := r.findIn(r.groups.legacy, id.Legacy)
	return unified, legacy, errors.Join(unifiedErr, legacyErr)
}

func (r *Reader) findIn(h hierarchy, id uint64) (place, error) {
	if h < 0 {
		return nowhere, nil
	}
	fd, err := h.open(id)
	if err != nil {
		return nowhere, fmt.Errorf("control group %d: %w", id, err)
	}
	root, rootErr := r.pathOf(int(h))
	path, err := r.pathOf(fd)
	if err := errors.Join(rootErr, err); err != nil {
		unix.Close(fd)
		return nowhere, fmt.Errorf("control group %d: %w", id, err)
	}
	path = cmp.Or(strings.TrimPrefix(path, root), "/")
	return place{hierarchy(fd), path, containerOf([]byte(path))}, nil
}

// maxMembers bounds the processes of a group that are looked at.
const maxMembers = 16

// Members are some processes of the container that a control group is of, which see the
// same files. None if it is of no container.
func (r *Reader) Members(id event.CgroupID) []uint32 {
	unified, legacy, _ := r.find(id)
	defer unified.close()
	defer legacy.close()
	switch {
	case unified.container != "":
		return unified.members()
	case legacy.container != "":
		return legacy.members()
	}
	return nil
}

func (p place) members() []uint32 {
	var buf [maxMembers * len("4194304\n")]byte
	text, err := handle(p.hierarchy).head("cgroup.procs", buf[:])
	if err != nil {
		return nil
	}
	return parsePIDs(text)
}

// parsePIDs reads PIDs, one a line. What was cut off is left out.
func parsePIDs(text []byte) (pids []uint32) {
	for line := range bytes.Lines(text) {
		pid, err := strconv.ParseUint(string(bytes.TrimSuffix(line, []byte("\n"))), 10, 32)
		if err == nil && pid != 0 && bytes.HasSuffix(line, []byte("\n")) && len(pids) < maxMembers {
			pids = append(pids, uint32(pid)) // 0 is one that our PID namespace does not show
		}
	}
	return pids
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
