// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Who never answers is given up, and so are all when there are too many of them, until
// they answer.
func TestFilesThatDoNotAnswer(t *testing.T) {
	m := newMemoryReads()
	var writers []*os.File
	open := func() file {
		var pipe [2]int
		require.NoError(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC))
		w := os.NewFile(uintptr(pipe[1]), "environ")
		_, err := w.WriteString("A=1\x00")
		require.NoError(t, err)
		writers = append(writers, w)
		return file(pipe[0])
	}
	began := time.Now()
	for range 10 * maxHeldUp {
		_, err := m.read(open(), 100)
		require.ErrorIs(t, err, errHeldUp)
	}
	require.Less(t, time.Since(began), 5*maxHeldUp*patience, "only the first are waited for")
	require.Len(t, m, maxHeldUp)
	for _, w := range writers {
		require.NoError(t, w.Close())
	}
	require.Eventually(t, func() bool { return len(m) == 0 }, 5*time.Second, time.Millisecond)
	before := openFiles(t)
	f := open()
	require.NoError(t, writers[len(writers)-1].Close())
	got, err := m.read(f, 3)
	require.NoError(t, err)
	require.Equal(t, "A=1", string(got))
	require.Equal(t, before, openFiles(t))
}

// openFiles counts those of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}

// What a process does not let be read costs nothing else that is told of it.
func TestAProcessThatHoldsItsReadersUpIsToldAllTheSame(t *testing.T) {
	r, err := New("/", Given{CommandArgs: true, Service: true, Variables: []string{"PATH"}})
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	r.reads = make(memoryReads) // no room for another
	p, err := r.Read(uint32(os.Getpid()))
	require.NoError(t, err)
	require.NotEmpty(t, p.Executable)
	require.NotEmpty(t, p.Mappings)
	require.Empty(t, p.CommandArgs)
	require.Empty(t, p.Environment)
	require.Equal(t, 1, p.Malformed)
}
