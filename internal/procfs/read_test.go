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
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

const (
	childVariable = "PROCFS_TEST_CHILD"
	// leaves is the value for a child whose main thread ends.
	leaves = "main thread leaves"
	// withholds is that for one whose environment is missing.
	withholds = "environment is missing"
)

func init() {
	if os.Getenv(childVariable) == leaves {
		runtime.LockOSThread() // this is the main thread
	}
}

// As a child the test binary waits for the end of its input, and exits.
func TestMain(m *testing.M) {
	wait := func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	switch os.Getenv(childVariable) {
	case "":
	case leaves:
		go wait()
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
	case withholds:
		if err := withhold(); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println("withheld")
		}
		wait()
	default:
		wait()
	}
	os.Exit(m.Run())
}

// child runs a program that is a copy of this one.
type child struct {
	*exec.Cmd
	stdin io.Closer
	pid   uint32
}

// start returns when the program is mapped: exec is over for its parent before that.
func start(t testing.TB, path string) child {
	t.Helper()
	c := startAs(t, path, "waits")
	require.Eventually(t, func() bool {
		program, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", c.pid))
		maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", c.pid))
		return program != "" && bytes.Contains(maps, []byte(program))
	}, 5*time.Second, time.Millisecond)
	return c
}

func startAs(t testing.TB, path, kind string) child {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), childVariable+"="+kind)
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
	r, err := New("/", Given{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, r.Close()) })
	return r
}

// Its own directory shows neither program nor memory of a process whose main
// thread has ended; a thread's does.
func TestMainThreadHasLeft(t *testing.T) {
	r, path := newReader(t), copyOfSelf(t)
	c := startAs(t, path, leaves)
	require.Eventually(t, func() bool {
		_, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", c.pid))
		return errors.Is(err, os.ErrNotExist)
	}, 5*time.Second, time.Millisecond)
	p, err := r.Read(c.pid)
	require.NoError(t, err)
	require.Equal(t, path, p.Executable)
	require.NotZero(t, p.StartTick)
	f, err := r.OpenMapped([]uint32{c.pid}, programMapping(t, p), nil)
	require.NoError(t, err)
	defer f.Close()
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	got, err := io.ReadAll(f)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
}

// programMapping is the mapping of the program itself.
func programMapping(t testing.TB, p Process) event.Mapping {
	t.Helper()
	for _, m := range p.Mappings {
		if m.Path == p.Executable {
			return m
		}
	}
	t.Fatalf("%s is not among %+v", p.Executable, p.Mappings)
	return event.Mapping{}
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
	want := event.File{Device: st.Dev, Inode: st.Ino, ChangeTime: st.Ctim.Nano(), Size: st.Size}
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
	m := programMapping(t, p)
	_, err = r.OpenMapped([]uint32{c.pid}, event.Mapping{Path: "/nowhere", File: m.File}, nil)
	assert.ErrorIs(t, err, ErrGone)
	// The handle from before does not lead to a successor, and says so.
	_, err = h.stat(make([]byte, bufSize))
	assert.ErrorIs(t, err, ErrGone)
	_, err = maps.Read(make([]byte, 10))
	assert.ErrorIs(t, err, ErrGone)
	_, err = r.Read(math.MaxUint32)
	assert.ErrorIs(t, err, ErrGone)
}

func waitForZombie(t *testing.T, pid uint32) {
	t.Helper()
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		return err == nil && bytes.Contains(b, []byte(") Z ")) && len(threads) == 1
	}, 10*time.Second, time.Millisecond)
}

func TestNewNeedsProc(t *testing.T) {
	_, err := New(filepath.Join(t.TempDir(), "nothing"), Given{})
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "root_path")
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "proc"), 0o700))
	_, err = New(dir, Given{})
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

// openFiles counts those of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}

func TestNoDescriptorIsLeft(t *testing.T) {
	before := openFiles(t)
	for range 20 {
		r, err := New("/", Given{})
		require.NoError(t, err)
		p, err := r.Read(uint32(os.Getpid()))
		require.NoError(t, err)
		f, err := r.OpenMapped([]uint32{uint32(os.Getpid())}, programMapping(t, p), nil)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		_, err = r.OpenMapped([]uint32{uint32(os.Getpid())}, event.Mapping{Path: "/nowhere", File: event.File{Inode: 1}}, nil)
		require.Error(t, err)
		_, err = r.Read(math.MaxUint32)
		require.Error(t, err)
		require.NoError(t, r.Close())
	}
	assert.Equal(t, before, openFiles(t))
}

// A kernel thread has neither program nor mappings, and that is no error.
func TestKernelThread(t *testing.T) {
	if b, err := os.ReadFile("/proc/2/stat"); err != nil || !bytes.HasPrefix(b, []byte("2 (kthreadd)")) {
		roottest.Lacks(t, "no kernel threads in this PID namespace")
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
