// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package procfs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func fixture(t testing.TB, kind, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", kind, name))
	require.NoError(t, err)
	return b
}

func TestParseStat(t *testing.T) {
	for _, name := range []string{"plain", "name_with_everything", "kernel_thread"} {
		s, err := parseStat(fixture(t, "stat", name))
		require.NoError(t, err, name)
		assert.Equal(t, stat{parent: 7, startTick: 98765}, s, name)
	}
	good := string(fixture(t, "stat", "plain"))
	s, err := parseStat([]byte(strings.Replace(good, "S 7", "Z 7", 1)))
	require.NoError(t, err)
	assert.True(t, s.left)
	for name, text := range map[string]string{
		"empty":         "",
		"no name":       "42 bash S 7",
		"short":         "42 (bash) S 7 1 2 3",
		"no number":     strings.Replace(good, "98765", "x", 1),
		"parent":        strings.Replace(good, "S 7", "S 77777777777", 1),
		"start too big": strings.Replace(good, "98765", "98765000000000000000000", 1),
	} {
		_, err := parseStat([]byte(text))
		assert.ErrorIs(t, err, errStat, name)
	}
}

func TestParseCgroup(t *testing.T) {
	first, second := strings.Repeat("3f7c1a5e", 8), strings.Repeat("0b9d2c4e", 8)
	want := map[string]string{
		"host_v2":                      "",
		"root":                         "",
		"docker_v2":                    first,
		"docker_cgroupfs_v1":           first,
		"docker_in_docker":             second,
		"hybrid":                       first,
		"hybrid_unified_first":         first,
		"kubernetes_containerd":        first,
		"kubernetes_containerd_colons": first,
		"kubernetes_crio":              first,
		"crio_conmon":                  "",
		"podman":                       first,
		"podman_systemd_inside":        first,
		"podman_conmon":                "",
		"podman_rootless":              first,
		"nspawn":                       "web",
		"nspawn_scope":                 "my-box",
		"nspawn_v1":                    "web",
		"nspawn_supervisor":            "",
		"nspawn_docker_inside":         first,
		"virtual_machine":              "",
		"docker_systemd_v1":            first,
		"containerd_v1":                first,
		"kubernetes_containerd_v1":     first,
		"kubernetes_crio_v1":           first,
		"podman_v1":                    first,
		"short_id":                     "",
		"upper_case":                   "",
		"longer_hex":                   "",
		"cgroup_namespace":             first,
	}
	files, err := os.ReadDir("testdata/cgroup")
	require.NoError(t, err)
	require.Len(t, files, len(want))
	for name, id := range want {
		assert.Equal(t, id, parseCgroup(fixture(t, "cgroup", name)), name)
	}
	for _, text := range []string{"", "\n", "0", "0:", "0::", ":::", "nonsense\n"} {
		assert.Empty(t, parseCgroup([]byte(text)))
	}
}

func TestReadMaps(t *testing.T) {
	text := fixture(t, "maps", "mixed")
	want := []executable{
		{0x400000, 0x452000, 0, 173521, "/usr/bin/dbus-daemon"},
		{0x35b1800000, 0x35b1820000, 0x1000, 135522, "/opt/my program/lib x.so"},
		{0x35b1a21000, 0x35b1a22000, 0, 0, ""},
		{0x35b1a22000, 0x35b1a23000, 0, 77, "/memfd:jit"},
		{0x7f0000000000, 0x7f0000001000, 0x2000, 1<<64 - 1, "/tmp/gone.so"},
		{0x7f0000001000, 0x7f0000002000, 0, 4, "//anon"},
		{0x7f0000002000, 0x7f0000003000, 0, 5, "/a\nb"},
		{0x7ffd1ab5f000, 0x7ffd1ab61000, 0, 0, "[vdso]"},
		{0xffffffffff600000, 0xffffffffff601000, 0, 0, "[vsyscall]"},
	}
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(text), "by byte": iotest.OneByteReader(bytes.NewReader(text)),
		"end with data": iotest.DataErrReader(bytes.NewReader(text)),
	} {
		got, truncated, err := readMaps(r, make([]byte, 200), maxMappings)
		require.NoError(t, err, name)
		assert.Equal(t, want, got, name)
		assert.Zero(t, truncated)
	}
	got, truncated, err := readMaps(bytes.NewReader(text), make([]byte, 200), 4)
	require.NoError(t, err)
	assert.Equal(t, want[:4], got)
	assert.Equal(t, len(want)-4, truncated, "what is left out is counted")
}

func TestReadMapsErrors(t *testing.T) {
	for name, text := range map[string]string{
		"no range":     "00400000 r-xp 00000000 08:02 173521 /x\n",
		"no start":     "-00452000 r-xp 00000000 08:02 173521 /x\n",
		"backwards":    "00452000-00400000 r-xp 00000000 08:02 173521 /x\n",
		"short":        "00400000-00452000 r-xp\n",
		"no offset":    "00400000-00452000 r-xp  08:02 173521 /x\n",
		"no device":    "00400000-00452000 r-xp 00000000 \n",
		"no inode":     "00400000-00452000 r-xp 00000000 08:02 \n",
		"inode":        "00400000-00452000 r-xp 00000000 08:02 99999999999999999999 /x\n",
		"unfinished":   "00400000-00452000 r-xp 00000000 08:02 173521 /x",
		"line too big": "00400000-00452000 r-xp 00000000 08:02 173521 /" + strings.Repeat("x", 300) + "\n",
		"empty line":   "\n",
	} {
		_, _, err := readMaps(strings.NewReader(text), make([]byte, 200), 10)
		assert.ErrorIs(t, err, errMaps, name)
	}
	broken := errors.New("broken")
	_, _, err := readMaps(iotest.ErrReader(broken), make([]byte, 200), 10)
	assert.ErrorIs(t, err, broken)
}

// A process that maps more than anyone can read is cut, and says so.
func TestReadMapsIsBounded(t *testing.T) {
	line := "00400000-00452000 r-xp 00000000 08:02 173521 /x\n"
	lines, truncated, err := readMaps(&endless{line: line}, make([]byte, bufSize), maxMappings)
	require.NoError(t, err)
	assert.Len(t, lines, maxMappings)
	assert.Greater(t, truncated, maxMapsBytes/len(line)-maxMappings-10)
}

// endless repeats a line.
type endless struct {
	line string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		c := copy(p[n:], e.line[e.at:])
		n, e.at = n+c, (e.at+c)%len(e.line)
	}
	return len(p), nil
}

func FuzzParseStat(f *testing.F) {
	f.Add(fixture(f, "stat", "name_with_everything"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseStat(b) })
}

func FuzzParseCgroup(f *testing.F) {
	f.Add(fixture(f, "cgroup", "hybrid"))
	f.Add(fixture(f, "cgroup", "kubernetes_containerd_colons"))
	f.Add(fixture(f, "cgroup", "nspawn_scope"))
	f.Fuzz(func(t *testing.T, b []byte) {
		id := parseCgroup(b)
		if len(id) > len(b) || !utf8.ValidString(id) {
			t.Fatalf("%q", id)
		}
		if len(id) == containerIDLen && !bytes.Contains(b, []byte(id)) && !bytes.Contains(b, []byte(`\x`)) {
			t.Fatalf("%q", id)
		}
	})
}

func FuzzReadMaps(f *testing.F) {
	f.Add(fixture(f, "maps", "mixed"))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, truncated, err := readMaps(bytes.NewReader(b), make([]byte, 256), 8)
		if len(whole) > 8 || truncated > len(b) {
			t.Fatal(len(whole), truncated)
		}
		for _, m := range whole {
			if m.start > m.end {
				t.Fatal(m)
			}
		}
		// How the bytes arrive makes no difference.
		parts, again, err2 := readMaps(iotest.HalfReader(bytes.NewReader(b)), make([]byte, 256), 8)
		if err2 != nil != (err != nil) || err == nil && (again != truncated || len(parts) != len(whole)) {
			t.Fatal(err, err2, len(whole), len(parts))
		}
	})
}
