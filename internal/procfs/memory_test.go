// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Of memory only what no file system stands behind is read: a page of one that never
// answers would be waited for without end.
func TestOnlyAnonymousMemoryIsRead(t *testing.T) {
	page := os.Getpagesize()
	path := filepath.Join(t.TempDir(), "file")
	content := make([]byte, 4*page)
	content[0], content[page] = 7, 7
	require.NoError(t, os.WriteFile(path, content, 0o600))
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer file.Close()
	mapped := func(fd, flags int) []byte {
		b, err := unix.Mmap(fd, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, flags)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, unix.Munmap(b)) })
		return b
	}
	const anonymous, private, shared = unix.MAP_PRIVATE | unix.MAP_ANON, unix.MAP_PRIVATE, unix.MAP_SHARED
	written, copied, clean := mapped(-1, anonymous), mapped(int(file.Fd()), private), mapped(int(file.Fd()), private)
	ofAll, untouched := mapped(int(file.Fd()), shared), mapped(-1, anonymous)
	written[0], written[page], copied[0] = 7, 7, 7
	require.EqualValues(t, 14, clean[0]+ofAll[0], "they are present")

	m, tick, err := newReader(t).OpenMemory(uint32(os.Getpid()))
	require.NoError(t, err)
	defer m.Close()
	require.NotZero(t, tick)
	at := func(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }
	size := uint64(page)
	for name, test := range map[string]struct {
		at   uint64
		n    int
		read bool
	}{
		"anonymous":              {at(written), 8, true},
		"over two pages":         {at(written) + size - 4, 8, true},
		"a page that was copied": {at(copied), 8, true},
		"and one that was not":   {at(copied) + size - 4, 8, false},
		"of a file":              {at(clean), 8, false},
		"of a file, shared":      {at(ofAll), 8, false},
		"missing":                {at(untouched), 8, false},
		"unmapped":               {0x1000, 8, false},
		"nothing":                {0x1000, 0, true},
		"beyond the end":         {1<<64 - 4, 8, false},
	} {
		b := make([]byte, test.n)
		err := m.Read(b, test.at)
		if !test.read {
			require.ErrorIs(t, err, errNotAnonymous, name)
			continue
		}
		require.NoError(t, err, name)
		if test.n > 0 && test.at%size == 0 {
			require.EqualValues(t, 7, b[0], name)
		}
	}
	require.ErrorIs(t, m.Read(make([]byte, 8), 0xffffffff81000000), io.ErrUnexpectedEOF, "the kernel's")
}

func TestMemoryOfNobody(t *testing.T) {
	r := newReader(t)
	_, _, err := r.OpenMemory(1 << 30)
	require.ErrorIs(t, err, ErrGone)
	c := start(t, "/proc/self/exe")
	c.stdin.Close()
	waitForZombie(t, c.pid)
	_, tick, err := r.OpenMemory(c.pid)
	require.ErrorIs(t, err, ErrGone)
	require.NotZero(t, tick)
}

func TestEntriesOfPagemap(t *testing.T) {
	for entry, want := range map[uint64]bool{
		0:                         false, // nothing is there
		pagePresent:               true,
		pageSwapped:               true,
		pagePresent | pageOfFile:  false,
		pageSwapped | pageOfFile:  false,
		pageSwapped | pageMarked:  false, // a mark of a page that is not there
		pagePresent | 1<<56 | 123: true,  // mapped once, its frame
	} {
		require.Equal(t, want, isAnonymous(entry), "%#x", entry)
	}
}
