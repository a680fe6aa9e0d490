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

// OpenMapped opens the file behind a mapping, also when it has been deleted since, or
// lies in a mount namespace where we are not. It looks where the processes have it,
// which may be others by now, and in the host's root. is has the last word on what
// is found; nil believes it.
//
// The errors are ErrNoFile, ErrReplaced and ErrGone, wrapped, or that of a system
// call, as when neither mapping nor path exist any more. It never opens anything
// but a regular file, so it does not wait for the other end of a FIFO and does not
// touch a device.
func (r *Reader) OpenMapped(pids []uint32, m event.Mapping, is func(*os.File) bool) (*os.File, error) {
	if m.ID() == (event.FileID{}) {
		return nil, fmt.Errorf("mapping of %q at %#x: %w", m.Path, m.Start, ErrNoFile)
	}
	var errs []error
	for _, pid := range pids {
		f, err := r.openThrough(pid, m, is)
		if err == nil {
			return f, nil
		}
		errs = append(errs, fmt.Errorf("process %d: %w", pid, err))
	}
	f, err := r.openBelow(r.host, m, is)
	if err == nil {
		return f, nil
	}
	return nil, fmt.Errorf("mapping of %q at %#x: %w", m.Path, m.Start, errors.Join(append(errs, err)...))
}

// openThrough opens the file as a process has it: by the mapping, else by its path.
func (r *Reader) openThrough(pid uint32, m event.Mapping, is func(*os.File) bool) (*os.File, error) {
	h, err := r.open(pid)
	if err != nil {
		return nil, err
	}
	defer h.close()
	if fd, err := openat(int(h), mapFile(m), unix.O_PATH); err == nil {
		if f, err := r.verify(fd, m, sameInode, is); err == nil {
			return f, nil
		}
	}
	root, err := h.root()
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	return r.openBelow(root, m, is)
}

// openBelow opens the file by its path below a root.
func (r *Reader) openBelow(root int, m event.Mapping, is func(*os.File) bool) (*os.File, error) {
	fd, err := openByPath(root, m.Path)
	if err != nil {
		return nil, err
	}
	return r.verify(fd, m, sameFile, is)
}

// verify opens the file behind a handle, which it closes, if it is the one that was
// mapped. A handle opens nothing, and between the two nobody can put another file
// there.
func (r *Reader) verify(handle int, m event.Mapping, same func(*os.File, event.File, event.File) bool, is func(*os.File) bool) (*os.File, error) {
	defer unix.Close(handle)
	key, err := keyOf(handle, "")
	if err != nil {
		return nil, err
	}
	// Not to wait for the holder of a lease is the other use of O_NONBLOCK.
	fd, err := openat(r.proc, "self/fd/"+strconv.Itoa(handle), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), m.Path)
	if m.File != (event.File{}) && !same(f, key, m.File) || is != nil && !is(f) {
		f.Close()
		return nil, ErrReplaced
	}
	return f, nil
}

// sameInode tells whether a file found at the addresses of a mapping is the mapped
// one. The kernel's records name another device than stat on file systems such as
// btrfs, where each subvolume has a number of its own.
func sameInode(_ *os.File, found, mapped event.File) bool {
	if mapped.Recorded() {
		return found.Inode == mapped.Inode
	}
	return found == mapped
}

// fsIocGetVersion is FS_IOC_GETVERSION (include/uapi/linux/fs.h).
const fsIocGetVersion = 0x80087601

// sameFile tells whether a file found by its path is the mapped one. Of that the
// kernel's records have the inode's generation, by which an earlier file of the same
// number is told from it; where the file system does not tell, the device has to be
// the same.
func sameFile(f *os.File, found, mapped event.File) bool {
	if !mapped.Recorded() {
		return found == mapped
	}
	if found.Inode != mapped.Inode {
		return false
	}
	generation, err := unix.IoctlGetUint32(int(f.Fd()), fsIocGetVersion)
	if err != nil {
		return found.Device == mapped.Device
	}
	return uint64(generation) == mapped.Generation
}

// Identity identifies an open file.
func Identity(f *os.File) (event.File, error) { return keyOf(int(f.Fd()), "") }

// mapFile is the name of a mapping in map_files (fs/proc/base.c, dname_to_vma_addr,
// v6.12).
func mapFile(m event.Mapping) string {
	b := make([]byte, 0, len("map_files/")+2*16+1)
	b = append(b, "map_files/"...)
	b = append(strconv.AppendUint(b, m.Start, 16), '-')
	return string(strconv.AppendUint(b, m.End, 16))
}

// openByPath returns a handle of a path below a root. Links in the path must lead
// where they lead for who has that root, not into our own tree; that is what
// RESOLVE_IN_ROOT is for (>= 5.6).
func openByPath(root int, path string) (int, error) {
	if !strings.HasPrefix(path, "/") {
		return -1, ErrNoFile
	}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := -1, error(nil)
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
