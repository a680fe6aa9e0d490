// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestOpenPerfMap(t *testing.T) {
	r, pid := newReader(t), uint32(os.Getpid())
	path := fmt.Sprintf("/tmp/perf-%d.map", pid)
	_, tick, err := r.OpenPerfMap(pid, 0)
	require.ErrorIs(t, err, os.ErrNotExist)
	p, err := r.Read(pid)
	require.NoError(t, err)
	require.Equal(t, p.StartTick, tick)

	require.NoError(t, os.WriteFile(path, []byte("1000 10 f\n"), 0o600))
	t.Cleanup(func() { _ = os.RemoveAll(path) })
	f, tick, err := r.OpenPerfMap(pid, 0)
	require.NoError(t, err)
	require.Equal(t, p.StartTick, tick)
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.Equal(t, "1000 10 f\n", string(text))

	// The process has begun another program since.
	time.Sleep(2 * fileTick)
	_, _, err = r.OpenPerfMap(pid, now())
	require.ErrorIs(t, err, ErrReplaced)
	since := now()
	require.NoError(t, os.WriteFile(path, []byte("1000 10 f\n"), 0o600))
	f, _, err = r.OpenPerfMap(pid, since)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	// On a file system whose times have no part of a second.
	second := earliest(since).Truncate(time.Second)
	require.NoError(t, os.Chtimes(path, second, second))
	f, _, err = r.OpenPerfMap(pid, since)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	second = second.Add(-time.Second)
	require.NoError(t, os.Chtimes(path, second, second))
	_, _, err = r.OpenPerfMap(pid, since)
	require.ErrorIs(t, err, ErrReplaced)

	// It was left there by who had the PID before.
	past := time.Now().Add(-1000 * time.Hour)
	require.NoError(t, os.Chtimes(path, past, past))
	_, _, err = r.OpenPerfMap(pid, 0)
	require.ErrorIs(t, err, ErrReplaced)

	if os.Getuid() == 0 {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chtimes(path, time.Now(), time.Now()))
		require.NoError(t, os.Chown(path, 65534, 65534))
		_, _, err = r.OpenPerfMap(pid, 0)
		require.ErrorIs(t, err, ErrReplaced, "another user's")
	}
	// Whose other end nobody opens, and a link out of the process's view.
	require.NoError(t, os.Remove(path))
	require.NoError(t, unix.Mkfifo(path, 0o600))
	_, _, err = r.OpenPerfMap(pid, 0)
	require.ErrorIs(t, err, ErrNoFile)
	_, _, err = r.OpenPerfMap(1<<30, 0)
	require.ErrorIs(t, err, ErrGone)
}

func TestParseStatus(t *testing.T) {
	s, err := parseStatus([]byte("Name:\tx\nUid:\t1\t2\t3\t4\nNStgid:\t4711\t12\t1\n"))
	require.NoError(t, err)
	require.Equal(t, status{pid: 1, uid: 2}, s)
	for _, text := range []string{"", "Uid:\t1\t2\t3\t4\n", "NStgid:\t1\n", "Uid:\t1\tx\t3\t4\nNStgid:\t1\n", "Uid:\t1\t2\t3\t4\nNStgid:\t99999999999\n"} {
		_, err := parseStatus([]byte(text))
		require.ErrorIs(t, err, errStatus, "%q", text)
	}
}
