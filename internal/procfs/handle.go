// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// handle is an open /proc/PID. The kernel ties it to the process: when that is
// gone, what is opened through it is gone, too, whoever has the PID now
// (fs/proc/base.c, get_proc_task of the inode's struct pid, v6.12).
type handle int

// open returns the handle of a process.
func (r *Reader) open(pid uint32) (handle, error) {
	fd, err := openat(r.proc, strconv.FormatUint(uint64(pid), 10), unix.O_PATH|unix.O_DIRECTORY)
	return handle(fd), gone(err)
}

// look opens a process and calls do with what stat tells and a handle that shows its memory:
// if the main thread has ended, that of another. stat.left: none is left. The error names
// the process.
func (r *Reader) look(pid uint32, do func(h handle, s stat, buf []byte) error) (startTick uint64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("process %d: %w", pid, err)
		}
	}()
	h, err := r.open(pid)
	if err != nil {
		return 0, err
	}
	defer h.close()
	buf := r.buffers.Get().(*[bufSize]byte)
	defer r.buffers.Put(buf)
	s, err := h.stat(buf[:])
	if err != nil {
		return 0, err
	}
	if s.left {
		if thread, ok := h.thread(); ok {
			defer thread.close()
			h, s.left = thread, false
		}
	}
	return s.startTick, do(h, s, buf[:])
}

func (h handle) close() { unix.Close(int(h)) }

// maxThreads bounds how many threads are looked at for one that has memory.
const maxThreads = 64

// thread opens the directory of a thread that shows the memory of the process,
// which the main thread's does not once that has ended.
func (h handle) thread() (handle, bool) {
	fd, err := openat(int(h), "task", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return -1, false
	}
	tasks := os.NewFile(uintptr(fd), "task")
	defer tasks.Close()
	names, _ := tasks.Readdirnames(maxThreads)
	for _, name := range names {
		fd, err := openat(int(tasks.Fd()), name, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			continue
		}
		var link [1]byte
		if _, err := unix.Readlinkat(fd, "exe", link[:]); err == nil {
			return handle(fd), true
		}
		unix.Close(fd)
	}
	return -1, false
}

// file opens a file of the directory for reading.
func (h handle) file(name string) (file, error) {
	fd, err := openat(int(h), name, unix.O_RDONLY)
	return file(fd), gone(err)
}

// head reads the first part of a file into buf.
func (h handle) head(name string, buf []byte) ([]byte, error) {
	f, err := h.file(name)
	if err != nil {
		return nil, err
	}
	defer f.close()
	n, err := io.ReadFull(f, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return buf[:n], err
}

// gone turns the errors by which /proc says that a process is no more: ENOENT
// when a name is looked up, ESRCH when a file that was open is read.
func gone(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, fs.ErrNotExist) {
		return ErrGone
	}
	return err
}

// file is a descriptor to read from, lighter than an os.File.
type file int

func (f file) close() { unix.Close(int(f)) }

// Read implements io.Reader.
func (f file) Read(b []byte) (int, error) {
	var n int
	err := retry(func() (err error) {
		n, err = unix.Read(int(f), b)
		return err
	})
	switch {
	case err != nil:
		return 0, gone(err)
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// ReadAt implements io.ReaderAt. It reads all or fails.
func (f file) ReadAt(b []byte, at int64) (int, error) {
	var n int
	err := retry(func() (err error) {
		n, err = unix.Pread(int(f), b, at)
		return err
	})
	if err == nil && n < len(b) {
		err = io.ErrUnexpectedEOF
	}
	return max(n, 0), gone(err)
}

func openat(dir int, name string, flags int) (fd int, err error) {
	err = retry(func() (err error) {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
