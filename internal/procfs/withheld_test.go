// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
)

// environmentPages are the whole pages of the environment of a process.
func environmentPages(pid int) (start, end uintptr, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	const envStart, envEnd = 47, 48 // counted from the state
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	first, _ := strconv.ParseUint(string(fields[envStart]), 10, 64)
	last, err := strconv.ParseUint(string(fields[envEnd]), 10, 64)
	page := uintptr(os.Getpagesize())
	return (uintptr(first) + page - 1) &^ (page - 1), uintptr(last) &^ (page - 1), err
}

// withhold gives up most of this process's environment: whoever touches it waits for an
// answer that never comes.
func withhold() error {
	start, end, err := environmentPages(os.Getpid())
	if err != nil {
		return err
	}
	uffd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		return errno
	}
	const uffdioAPI, uffdioRegister = 0xc018aa3f, 0xc020aa00 // include/uapi/linux/userfaultfd.h
	api := [3]uint64{0xaa}
	missing := [4]uint64{uint64(start), uint64(end - start), 1}
	for _, call := range []struct {
		request uintptr
		arg     unsafe.Pointer
	}{{uffdioAPI, unsafe.Pointer(&api)}, {uffdioRegister, unsafe.Pointer(&missing)}} {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uffd, call.request, uintptr(call.arg)); errno != 0 {
			return errno
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_MADVISE, start, end-start, unix.MADV_DONTNEED); errno != 0 {
		return errno
	}
	return nil
}

// A process whose environment is missing, and which never answers the faults of it, is read
// at once, without what is missing. (Of what lies before the kernel shows nothing that it
// read in the same call.)
func TestNoMissingPageHoldsReadsUp(t *testing.T) {
	roottest.Need(t)
	cmd := exec.Command("/proc/self/exe", "an argument")
	cmd.Env = []string{childVariable + "=" + withholds, "LONG=" + strings.Repeat("x", 100<<10), "LAST=2"}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { stdin.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "withheld\n", line)

	r, err := New("/", Given{CommandArgs: true, Variables: []string{"LAST"}})
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	p, err := r.Read(uint32(cmd.Process.Pid))
	require.NoError(t, err)
	require.Equal(t, []string{"/proc/self/exe", "an argument"}, p.CommandArgs)
	require.Empty(t, p.Environment)
	require.NotEmpty(t, p.Mappings)

	start, _, err := environmentPages(cmd.Process.Pid)
	require.NoError(t, err)
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", cmd.Process.Pid))
	require.NoError(t, err)
	defer mem.Close()
	_, err = mem.ReadAt(make([]byte, 8), int64(start))
	require.ErrorIs(t, err, unix.EIO)
}
