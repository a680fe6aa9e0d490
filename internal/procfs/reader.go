// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// maxNotes bounds what is read of the kernel's notes, which are some hundred bytes.
const maxNotes = 1 << 20

// Reader reads /proc and /sys below a root. It is safe for concurrent use until
// Close.
type Reader struct {
	root    string
	given   Given
	host    int // the root directory, an O_PATH handle
	proc    int // /proc, likewise
	groups  groups
	memfd   string // see memfdDevice
	buffers sync.Pool
}

// New opens /proc below rootPath: "/", or where the host's root is mounted in
// our container. Of what processes were given, only that is read.
func New(rootPath string, given Given) (*Reader, error) {
	path := filepath.Join(rootPath, "proc")
	fd, err := openat(unix.AT_FDCWD, path, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w (root_path must be where the host's root is mounted, with its /proc)", path, err)
	}
	host, err := openat(unix.AT_FDCWD, rootPath, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open %s: %w", rootPath, err)
	}
	r := &Reader{root: rootPath, given: given, host: host, proc: fd, memfd: memfdDevice()}
	r.buffers.New = func() any { return new([bufSize]byte) }
	r.groups = groups{-1, -1, ""}
	if err := r.check(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s %w", path, err), r.Close())
	}
	r.groups = openGroups(rootPath)
	return r, nil
}

// check tells a proc mount that shows our processes from anything else.
func (r *Reader) check() error {
	var s unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(r.proc, &s) }); err != nil {
		return fmt.Errorf("cannot be examined: %w", err)
	}
	if s.Type != unix.PROC_SUPER_MAGIC {
		return errors.New("is not a proc file system: mount the host's /proc there")
	}
	var link [16]byte
	if _, err := unix.Readlinkat(r.proc, "self", link[:]); err != nil {
		return fmt.Errorf("does not show this process (%w): it belongs to another PID namespace, mount the host's /proc there", err)
	}
	return nil
}

// Close gives the handles back.
func (r *Reader) Close() error {
	return errors.Join(r.groups.close(), unix.Close(r.proc), unix.Close(r.host))
}

// Kallsyms opens the kernel's symbol list. Whether it shows addresses depends on
// the capabilities at this moment, not when it is read.
func (r *Reader) Kallsyms() (io.ReadCloser, error) {
	fd, err := openat(r.proc, "kallsyms", unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("open kallsyms: %w", err)
	}
	return os.NewFile(uintptr(fd), "kallsyms"), nil
}

// KernelNotes reads the ELF notes of the running kernel, its build ID among them.
func (r *Reader) KernelNotes() ([]byte, error) {
	f, err := os.Open(filepath.Join(r.root, "sys/kernel/notes"))
	if err != nil {
		return nil, fmt.Errorf("kernel notes: %w", err)
	}
	defer f.Close()
	notes, err := io.ReadAll(io.LimitReader(f, maxNotes))
	if err != nil {
		return nil, fmt.Errorf("read kernel notes: %w", err)
	}
	return notes, nil
}
