// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// OpenMapped opens the file behind a mapping that Read found, also when it has
// been deleted since, or lies in a mount namespace where we are not.
//
// The errors are ErrNoFile, ErrReplaced and ErrGone, wrapped, or that of a system
// call, as when neither mapping nor path exist any more. It never opens anything
// but the file itself, so it does not wait for the other end of a FIFO and does
// not touch a device.
func (r *Reader) OpenMapped(pid uint32, m event.Mapping) (*os.File, error) {
	f, err := r.openMapped(pid, m)
	if err != nil {
		return nil, fmt.Errorf("process %d, mapping of %q at %#x: %w", pid, m.Path, m.Start, err)
	}
	return f, nil
}

func (r *Reader) openMapped(pid uint32, m event.Mapping) (*os.File, error) {
	if m.File == (event.File{}) {
		return nil, ErrNoFile
	}
	h, err := r.open(pid)
	if err != nil {
		return nil, err
	}
	defer h.close()
	// First a handle, which opens nothing, then the file that the handle holds:
	// between the two nobody can put another one there.
	fd, err := openat(int(h), mapFile(m), unix.O_PATH)
	if err != nil {
		if fd, err = h.openByPath(m.Path); err != nil {
			return nil, err
		}
	}
	defer unix.Close(fd)
	switch key, err := keyOf(fd, ""); {
	case err != nil:
		return nil, err
	case key != m.File:
		return nil, ErrReplaced
	}
	// Not to wait for the holder of a lease is the other use of O_NONBLOCK.
	open, err := openat(r.proc, "self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(open), m.Path), nil
}

// mapFile is the name of a mapping in map_files (fs/proc/base.c, dname_to_vma_addr,
// v6.12).
func mapFile(m event.Mapping) string {
	b := make([]byte, 0, len("map_files/")+2*16+1)
	b = append(b, "map_files/"...)
	b = append(strconv.AppendUint(b, m.Start, 16), '-')
	return string(strconv.AppendUint(b, m.End, 16))
}

// openByPath returns a handle of a path as the process sees it. Links in the path
// must lead where they lead for the process, not into our own tree; that is what
// RESOLVE_IN_ROOT is for (>= 5.6).
func (h handle) openByPath(path string) (int, error) {
	if !strings.HasPrefix(path, "/") {
		return -1, ErrNoFile
	}
	root, err := h.root()
	if err != nil {
		return -1, err
	}
	defer unix.Close(root)
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd := -1
	for range 10 { // EAGAIN: a rename somewhere, the kernel cannot rule out an escape
		err = retry(func() (err error) {
			fd, err = unix.Openat2(root, path, &how)
			return err
		})
		if !errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// root opens the root directory of the process, which a thread of it shows when
// the main thread has left.
func (h handle) root() (int, error) {
	root, err := openat(int(h), "root", unix.O_PATH|unix.O_DIRECTORY)
	if !errors.Is(gone(err), ErrGone) {
		return root, err
	}
	thread, ok := h.thread()
	if !ok {
		return -1, ErrGone
	}
	defer thread.close()
	root, err = openat(int(thread), "root", unix.O_PATH|unix.O_DIRECTORY)
	return root, gone(err)
}

// keyOf identifies the regular file at name, or dir itself without a name. It
// takes what the kernel knows: a network file system that hangs is not asked.
func keyOf(dir int, name string) (event.File, error) {
	var s unix.Statx_t
	flags := unix.AT_STATX_DONT_SYNC
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	const want = unix.STATX_TYPE | unix.STATX_INO | unix.STATX_CTIME | unix.STATX_SIZE
	if err := retry(func() error { return unix.Statx(dir, name, flags, want, &s) }); err != nil {
		return event.File{}, err
	}
	if s.Mode&unix.S_IFMT != unix.S_IFREG {
		return event.File{}, ErrNoFile
	}
	return event.File{
		Device:     unix.Mkdev(s.Dev_major, s.Dev_minor),
		Inode:      s.Ino,
		ChangeTime: s.Ctime.Sec*1e9 + int64(s.Ctime.Nsec),
		Size:       int64(s.Size),
	}, nil
}
