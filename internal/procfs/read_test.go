// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// As a child the test binary waits for the end of its input, and exits.
func TestMain(m *testing.M) {
	if os.Getenv("PROCFS_TEST_CHILD") != "" {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child runs a program that is a copy of this one.
type child struct {
	*exec.Cmd
	stdin io.Closer
	pid   uint32
}

func start(t testing.TB, path string) child {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), "PROCFS_TEST_CHILD=1")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := child{cmd, stdin, uint32(cmd.Process.Pid)}
	t.Cleanup(func() { c.stdin.Close(); _ = c.Wait() })
	return c
}

// copyOfSelf puts this program where the test can delete or replace it.
func copyOfSelf(t testing.TB) string {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "a program")
	require.NoError(t, os.WriteFile(path, self, 0o700))
	return path
}

func newReader(t testing.TB) *Reader {
	t.Helper()
	r, err := New("/")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.Close()) })
	return r
}

// programMapping is the mapping of the program itself.
func programMapping(t testing.TB, p Process) Mapping {
	t.Helper()
	for _, m := range p.Mappings {
		if m.Path == p.Executable {
			return m
		}
	}
	t.Fatalf("%s is not among %+v", p.Executable, p.Mappings)
	return Mapping{}
}

func TestReadSelf(t *testing.T) {
	r := newReader(t)
	before := now()
	p, err := r.Read(uint32(os.Getpid()))
	require.NoError(t, err)
	assert.LessOrEqual(t, before, p.From)
	assert.Less(t, p.From, p.To)
	assert.LessOrEqual(t, p.To, now())
	assert.Equal(t, uint32(os.Getppid()), p.ParentPID)
	self, err := os.Executable()
	require.NoError(t, err)
	assert.Equal(t, self, p.Executable)
	assert.Zero(t, p.Truncated)

	for i, m := range p.Mappings {
		assert.Less(t, m.Start, m.End)
		if i > 0 {
			assert.LessOrEqual(t, p.Mappings[i-1].End, m.Start, "ascending")
		}
	}
	info, err := os.Stat(self)
	require.NoError(t, err)
	st := info.Sys().(*syscall.Stat_t)
	want := symbol.Key{Device: st.Dev, Inode: st.Ino, ChangeTime: st.Ctim.Nano(), Size: st.Size}
	assert.Equal(t, want, programMapping(t, p).File)
}

// The start in ticks agrees with the time a child was started, on the boot clock.
func TestStartTick(t *testing.T) {
	boot := func() uint64 {
		var ts unix.Timespec
		require.NoError(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts))
		return uint64(ts.Nano()) / 1e7
	}
	before := boot()
	c := start(t, "/proc/self/exe")
	after := boot()
	p, err := newReader(t).Read(c.pid)
	require.NoError(t, err)
	assert.Equal(t, uint32(os.Getpid()), p.ParentPID)
	assert.LessOrEqual(t, before, p.StartTick)
	assert.GreaterOrEqual(t, after, p.StartTick)
}

func TestGone(t *testing.T) {
	r := newReader(t)
	c := start(t, "/proc/self/exe")
	p, err := r.Read(c.pid)
	require.NoError(t, err)
	h, err := r.open(c.pid)
	require.NoError(t, err)
	defer h.close()
	maps, err := h.file("maps")
	require.NoError(t, err)
	defer maps.close()

	c.stdin.Close()
	waitForZombie(t, c.pid)
	zombie, err := r.Read(c.pid)
	require.NoError(t, err)
	assert.Equal(t, p.StartTick, zombie.StartTick)
	assert.Empty(t, zombie.Executable)
	assert.Empty(t, zombie.Mappings)

	require.NoError(t, c.Wait())
	_, err = r.Read(c.pid)
	assert.ErrorIs(t, err, ErrGone)
	_, err = r.OpenMapped(c.pid, programMapping(t, p))
	assert.ErrorIs(t, err, ErrGone)
	// The handle from before does not lead to a successor, and says so.
	var again Process
	assert.ErrorIs(t, again.read(h, make([]byte, bufSize)), ErrGone)
	_, err = maps.Read(make([]byte, 10))
	assert.ErrorIs(t, err, ErrGone)
	_, err = r.Read(math.MaxUint32)
	assert.ErrorIs(t, err, ErrGone)
}

func waitForZombie(t *testing.T, pid uint32) {
	t.Helper()
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err == nil && bytes.Contains(b, []byte(") Z "))
	}, 10*time.Second, time.Millisecond)
}

func TestOpenMapped(t *testing.T) {
	r, path := newReader(t), copyOfSelf(t)
	c := start(t, path)
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	check := func() {
		t.Helper()
		p, err := r.Read(c.pid)
		require.NoError(t, err)
		assert.Equal(t, path, p.Executable)
		f, err := r.OpenMapped(c.pid, programMapping(t, p))
		require.NoError(t, err)
		defer f.Close()
		got, err := io.ReadAll(f)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, got))
	}
	check()
	// By the path a deleted file cannot be had, nor one that another took the
	// place of. By the mapping it can.
	needMapFiles(t)
	require.NoError(t, os.Remove(path))
	check()
	require.NoError(t, os.WriteFile(path, []byte("another"), 0o700))
	check()
}

// needMapFiles skips the test where map_files is out of reach.
func needMapFiles(t *testing.T) {
	t.Helper()
	p, err := newReader(t).Read(uint32(os.Getpid()))
	require.NoError(t, err)
	if _, err := keyOf(unix.AT_FDCWD, "/proc/self/"+mapFile(p.Mappings[0])); errors.Is(err, unix.EPERM) {
		if os.Getenv("CI") == "true" {
			t.Fatal("map_files needs CAP_CHECKPOINT_RESTORE")
		}
		t.Skip("map_files needs CAP_CHECKPOINT_RESTORE")
	}
}

func TestReplaced(t *testing.T) {
	r, path := newReader(t), copyOfSelf(t)
	c := start(t, path)
	p, err := r.Read(c.pid)
	require.NoError(t, err)
	m := programMapping(t, p)
	for name, change := range map[string]func(*symbol.Key){
		"device": func(k *symbol.Key) { k.Device++ }, "inode": func(k *symbol.Key) { k.Inode++ },
		"time": func(k *symbol.Key) { k.ChangeTime++ }, "size": func(k *symbol.Key) { k.Size++ },
	} {
		other := m
		change(&other.File)
		_, err = r.OpenMapped(c.pid, other)
		assert.ErrorIs(t, err, ErrReplaced, name)
	}
	// For real: the inode changes, which its ctime shows.
	require.NoError(t, os.Chmod(path, 0o755))
	_, err = r.OpenMapped(c.pid, m)
	assert.ErrorIs(t, err, ErrReplaced)

	m.File = symbol.Key{}
	_, err = r.OpenMapped(c.pid, m)
	assert.ErrorIs(t, err, ErrNoFile)
}

// Without map_files the path leads to the file; what is there instead is neither
// taken for it nor waited for.
func TestOpenByPath(t *testing.T) {
	r, dir := newReader(t), t.TempDir()
	pid := uint32(os.Getpid())
	path := filepath.Join(dir, "lib.so")
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
	h, err := r.open(pid)
	require.NoError(t, err)
	defer h.close()
	// No such range is mapped, so it is the path that counts.
	m := Mapping{Start: 0x1000, End: 0x2000, Path: path}
	info, err := os.Stat(path)
	require.NoError(t, err)
	inode := info.Sys().(*syscall.Stat_t).Ino
	m.File = h.key(m, inode)
	require.NotZero(t, m.File)
	assert.Zero(t, h.key(m, inode+1), "another file is there now")

	f, err := r.OpenMapped(pid, m)
	require.NoError(t, err)
	got, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	assert.Equal(t, "content", string(got))

	require.NoError(t, os.Remove(path))
	_, err = r.OpenMapped(pid, m)
	assert.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, unix.Mkfifo(path, 0o600))
	_, err = r.OpenMapped(pid, m) // an open would wait for a writer
	assert.ErrorIs(t, err, ErrNoFile)
	m.Path = "/dev/zero"
	_, err = r.OpenMapped(pid, m)
	assert.ErrorIs(t, err, ErrNoFile)
	m.Path = "[vdso]"
	_, err = r.OpenMapped(pid, m)
	assert.ErrorIs(t, err, ErrNoFile)
}

// Links in a path belong to the root of the process, not to ours.
func TestOpenByPathStaysInRoot(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "etc"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc", "passwd"), []byte("inside"), 0o600))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(root, "absolute")))
	require.NoError(t, os.Symlink("../../../../../../../../etc/passwd", filepath.Join(root, "upwards")))
	// A directory whose root is root, as in /proc/PID.
	dir := t.TempDir()
	require.NoError(t, os.Symlink(root, filepath.Join(dir, "root")))
	fd, err := openat(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY)
	require.NoError(t, err)
	defer unix.Close(fd)
	want, err := keyOf(unix.AT_FDCWD, filepath.Join(root, "etc", "passwd"))
	require.NoError(t, err)
	for _, name := range []string{"/absolute", "/upwards", "/../../etc/passwd"} {
		got, err := handle(fd).openByPath(name)
		require.NoError(t, err)
		key, err := keyOf(got, "")
		unix.Close(got)
		require.NoError(t, err)
		assert.Equal(t, want, key, name)
	}
}

func TestNewNeedsProc(t *testing.T) {
	_, err := New(filepath.Join(t.TempDir(), "nothing"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "root_path")
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "proc"), 0o700))
	_, err = New(dir)
	assert.ErrorContains(t, err, "not a proc file system")
}

func TestKernelFiles(t *testing.T) {
	r := newReader(t)
	k, err := r.Kallsyms()
	require.NoError(t, err)
	defer k.Close()
	line := make([]byte, 17)
	_, err = io.ReadFull(k, line)
	require.NoError(t, err)
	_, err = strconv.ParseUint(strings.TrimSpace(string(line)), 16, 64)
	assert.NoError(t, err)
	notes, err := r.KernelNotes()
	require.NoError(t, err)
	assert.Len(t, symbol.BuildIDFromNotes(notes), 40)
}

func TestNoDescriptorIsLeft(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	before := open()
	for range 20 {
		r, err := New("/")
		require.NoError(t, err)
		p, err := r.Read(uint32(os.Getpid()))
		require.NoError(t, err)
		f, err := r.OpenMapped(uint32(os.Getpid()), programMapping(t, p))
		require.NoError(t, err)
		require.NoError(t, f.Close())
		_, err = r.OpenMapped(uint32(os.Getpid()), Mapping{Path: "/nowhere", File: symbol.Key{Inode: 1}})
		require.Error(t, err)
		_, err = r.Read(math.MaxUint32)
		require.Error(t, err)
		require.NoError(t, r.Close())
	}
	assert.Equal(t, before, open())
}

// A kernel thread has neither program nor mappings, and that is no error.
func TestKernelThread(t *testing.T) {
	if b, err := os.ReadFile("/proc/2/stat"); err != nil || !bytes.HasPrefix(b, []byte("2 (kthreadd)")) {
		t.Skip("no kernel threads in this PID namespace")
	}
	p, err := newReader(t).Read(2)
	if errors.Is(err, os.ErrPermission) {
		assert.ErrorContains(t, err, "CAP_SYS_PTRACE")
		return
	}
	require.NoError(t, err)
	assert.Empty(t, p.Executable)
	assert.Empty(t, p.Mappings)
}

func BenchmarkRead(b *testing.B) {
	r := newReader(b)
	pid := uint32(os.Getpid())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Read(pid); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadMaps(b *testing.B) {
	text := bytes.Repeat(fixture(b, "maps", "mixed"), 100)
	buf := make([]byte, bufSize)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := readMaps(bytes.NewReader(text), buf, maxMappings); err != nil {
			b.Fatal(err)
		}
	}
}
