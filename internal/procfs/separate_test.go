// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestOpenOne(t *testing.T) {
	r, dir := newReader(t), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"wrong", "right", "behind"} {
		require.NoError(t, os.WriteFile(at(name), []byte(name), 0o600))
	}
	require.NoError(t, unix.Mkfifo(at("fifo"), 0o600))
	require.NoError(t, os.Symlink(at("fifo"), at("to fifo")))
	require.NoError(t, os.Symlink("/dev/zero", at("to device")))
	require.NoError(t, os.Symlink(at("loop"), at("loop")))
	require.NoError(t, os.Symlink("/proc/self/fd/0", at("magic")))
	paths := []string{at("none"), at("fifo"), at("to fifo"), at("to device"), "/dev/zero", at("loop"), at("magic"), dir,
		"relative", at("wrong"), at("right"), at("behind")}
	asked := []string{}
	is := func(f *os.File) bool {
		content, err := io.ReadAll(f)
		require.NoError(t, err)
		asked = append(asked, string(content))
		return string(content) != "wrong"
	}
	began := time.Now()
	f, err := r.OpenOne(nil, paths, is)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	assert.Less(t, time.Since(began), 5*time.Second, "nobody writes to the FIFO")
	assert.Equal(t, []string{"wrong", "right"}, asked)

	_, err = r.OpenOne([]uint32{uint32(os.Getpid()), 1 << 30}, paths[:10], is)
	assert.ErrorIs(t, err, ErrNoFile)
	assert.Equal(t, 2, strings.Count(strings.Join(asked[2:], " "), "wrong"), "of the host and of the process")
}
