// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// OpenPerfMap opens the list of functions that a process made at run time,
// /tmp/perf-PID.map as the process sees it, in its own mount and PID namespace. since is when
// its program began, or before. It also returns the process's start in ticks of 10 ms. The
// error is ErrGone, wrapped, when the process is no more, and ErrReplaced if the list is
// another's: written by another user, or before the process or its program began.
func (r *Reader) OpenPerfMap(pid uint32, since event.KTime) (f *os.File, startTick uint64, err error) {
	startTick, err = r.look(pid, func(h handle, s stat, buf []byte) (err error) {
		if f, err = r.openPerfMap(h, s, since, buf); err != nil {
			return fmt.Errorf("map of code made at run time: %w", err)
		}
		return nil
	})
	return f, startTick, err
}

func (r *Reader) openPerfMap(h handle, s stat, since event.KTime, buf []byte) (*os.File, error) {
	status, err := h.head("status", buf)
	if err != nil {
		return nil, err
	}
	who, err := parseStatus(status)
	if err != nil {
		return nil, err
	}
	root, err := h.root()
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	fd, err := openByPath(root, fmt.Sprintf("/tmp/perf-%d.map", who.pid))
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var file unix.Statx_t
	const want = unix.STATX_TYPE | unix.STATX_UID | unix.STATX_MTIME
	if err := retry(func() error { return unix.Statx(fd, "", unix.AT_EMPTY_PATH, want, &file) }); err != nil {
		return nil, err
	}
	lag := fileTick
	if file.Mtime.Nsec == 0 {
		lag = time.Second // as of a file system whose times have no part of a second
	}
	switch {
	case file.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, ErrNoFile
	case file.Uid != who.uid && file.Uid != 0, file.Mtime.Sec+1 < startedAt(s.startTick),
		time.Unix(file.Mtime.Sec, int64(file.Mtime.Nsec)).Add(lag).Before(earliest(since)):
		return nil, ErrReplaced
	}
	open, err := openat(r.proc, "self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(open), "perf map"), nil
}

// fileTick is more than the times of files lag behind the clock: they are of the last tick of
// the kernel's timer (current_time in fs/inode.c, v6.12).
const fileTick = 20 * time.Millisecond

// earliest is when k was, at the earliest: as if the host had not been suspended before.
func earliest(k event.KTime) time.Time {
	var boot unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return time.Time{} // cannot be: the clock and the pointer are valid
	}
	return time.Now().Add(time.Duration(int64(k) - boot.Nano()))
}

// startedAt is the Unix time in seconds of a start in ticks since boot.
func startedAt(tick uint64) int64 {
	var wall, boot unix.Timespec
	if unix.ClockGettime(unix.CLOCK_REALTIME, &wall) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0 // cannot be: the clocks and pointers are valid
	}
	return wall.Sec - boot.Sec + int64(tick/100)
}

// status is what /proc/PID/status tells of who a process is.
type status struct {
	// pid is its PID in the innermost namespace, uid its effective user.
	pid, uid uint32
}

var errStatus = errors.New("status is not understood")

// parseStatus reads lines such as "Uid:\t0\t0\t0\t0", real, effective, saved and file
// system, and "NStgid:\t42\t1", outermost first, which threads show too (fs/proc/array.c, v6.12).
func parseStatus(b []byte) (s status, err error) {
	found := 0
	for line := range bytes.Lines(b) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		fields := bytes.Fields(value)
		var n uint64
		switch {
		case string(key) == "Uid" && len(fields) == 4:
			n, err = strconv.ParseUint(string(fields[1]), 10, 32)
			s.uid = uint32(n)
		case string(key) == "NStgid" && len(fields) > 0:
			n, err = strconv.ParseUint(string(fields[len(fields)-1]), 10, 32)
			s.pid = uint32(n)
		default:
			continue
		}
		if err != nil {
			return s, errStatus
		}
		found++
	}
	if found != 2 {
		return s, errStatus
	}
	return s, nil
}
