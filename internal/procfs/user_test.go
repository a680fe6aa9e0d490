// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const passwd = `root:x:0:0:root:/root:/bin/bash
# a comment
+::::::
www-data:x:33:33::/var/www:/usr/sbin/nologin
short:x
large:x:4294967296:0::/:
wide:x:4294967294:0::/:`

func TestFindUser(t *testing.T) {
	for name, want := range map[string]uint32{"root": 0, "www-data": 33, "wide": 4294967294} {
		id, found, err := findUser(strings.NewReader(passwd), name)
		require.NoError(t, err, name)
		require.True(t, found, name)
		require.Equal(t, want, id, name)
	}
	for _, name := range []string{"", "www", "short", "large", "# a comment", "33"} {
		_, found, err := findUser(strings.NewReader(passwd), name)
		require.NoError(t, err, name)
		require.False(t, found, name)
	}
	broken := errors.New("broken")
	_, _, err := findUser(io.MultiReader(strings.NewReader(passwd), iotest.ErrReader(broken)), "nobody")
	require.ErrorIs(t, err, broken)
	_, _, err = findUser(strings.NewReader(strings.Repeat("x", 1<<20)), "nobody")
	require.ErrorIs(t, err, bufio.ErrTooLong)
}

// A link in the host's tree leads where it does for the host.
func TestUserOfTheHost(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "users"), []byte("somebody:x:77:\n"), 0o600))
	require.NoError(t, os.Symlink("/users", filepath.Join(root, "etc/passwd")))
	host, err := openat(unix.AT_FDCWD, root, unix.O_PATH|unix.O_DIRECTORY)
	require.NoError(t, err)
	defer unix.Close(host)
	r := newReader(t)
	below := &Reader{root: root, host: host, proc: r.proc}
	id, err := below.User("somebody")
	require.NoError(t, err)
	require.EqualValues(t, 77, id)
	_, err = below.User("nobody")
	require.ErrorContains(t, err, root+`/etc/passwd has no user "nobody"`)
}

func TestUnifiedGroup(t *testing.T) {
	for text, want := range map[string]string{
		"0::/\n": "/",
		"12:cpu:/a\n1:name=systemd:/b\n0::/c:d/e\n": "/c:d/e",
		"12:cpu:/a\n": "",
		"":            "",
	} {
		require.Equal(t, want, unified([]byte(text)))
	}
}
