// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/pipeline"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/procfs"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// hostileReader reads what a test puts below its directory.
func hostileReader(t *testing.T) (r procReader, dir string) {
	t.Helper()
	dir = t.TempDir()
	made, err := newReader(Settings{RootPath: "/", DebugDirectories: []string{filepath.Join(dir, "debug")},
		Names: Names{Kernel: true, Native: true, Inline: true, Go: true, JIT: true}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, made.Close()) })
	return made.(procReader), dir
}

// requestOf asks for a file by its path.
func requestOf(t *testing.T, path string) pipeline.FileRequest {
	t.Helper()
	m := event.Mapping{Start: 0x1000, End: 0x2000, Path: path, File: event.File{Device: 1, Inode: 1}}
	if f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0); err == nil {
		defer f.Close()
		if file, err := procfs.Identity(f); err == nil {
			m.File = file
		}
	}
	return pipeline.FileRequest{ID: m.ID(), Mapping: m}
}

func program(t *testing.T, path string, flags ...string) {
	t.Helper()
	source := path + ".c"
	require.NoError(t, os.WriteFile(source, []byte("int burn(int n) { return n * 3; }\nint main(void) { return burn(1); }\n"), 0o600))
	out, err := exec.Command("gcc", append([]string{"-g", "-o", path, source}, flags...)...).CombinedOutput()
	require.NoError(t, err, string(out))
}

func within(t *testing.T, d time.Duration, what func()) {
	t.Helper()
	began := time.Now()
	what()
	require.Less(t, time.Since(began), d)
}

// Nobody writes to these.
func TestFIFOsInPlaceOfFiles(t *testing.T) {
	r, dir := hostileReader(t)
	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	within(t, 10*time.Second, func() {
		answer, err := r.file(requestOf(t, fifo))
		require.NoError(t, err)
		require.Nil(t, answer.File)
	})

	const id = "0123456789abcdef0123456789abcdef01234567"
	stripped := filepath.Join(dir, "stripped")
	program(t, stripped, "-s", "-Wl,--build-id=0x"+id)
	at := filepath.Join(dir, "debug", ".build-id", id[:2], id[2:]+".debug")
	require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o700))
	require.NoError(t, unix.Mkfifo(at, 0o600))
	within(t, 10*time.Second, func() {
		answer, err := r.file(requestOf(t, stripped))
		require.NoError(t, err)
		require.Equal(t, id, answer.File.GNUBuildID())
	})
	// dwz, split units and packages are opened in the same way.
	c := companions{reader: r}
	for _, path := range []string{fifo, at, "/dev/zero", dir} {
		got, _ := c.open([]string{path}, anyFile)
		require.Nil(t, got, path)
	}

	list := fmt.Sprintf("/tmp/perf-%d.map", os.Getpid())
	_ = os.Remove(list) // of a process that had the PID before
	require.NoError(t, unix.Mkfifo(list, 0o600))
	defer os.Remove(list)
	within(t, 10*time.Second, func() {
		answer, err := r.perfMap(pipeline.PerfMapRequest{PID: uint32(os.Getpid())})
		require.NoError(t, err)
		require.Nil(t, answer.Map)
		require.Zero(t, answer.Size)
	})
}

// Files of a terabyte that hold next to nothing.
func TestSparseFilesOfATerabyte(t *testing.T) {
	r, dir := hostileReader(t)
	grown := filepath.Join(dir, "grown")
	program(t, grown)
	require.NoError(t, os.Truncate(grown, 1<<40))
	within(t, 20*time.Second, func() {
		answer, err := r.file(requestOf(t, grown))
		require.NoError(t, err)
		require.NotNil(t, answer.File)
		require.Positive(t, answer.File.Functions())
	})

	// All tables are where nothing is.
	hollow := filepath.Join(dir, "hollow")
	program(t, hollow)
	content, err := os.ReadFile(hollow)
	require.NoError(t, err)
	shoff := binary.LittleEndian.Uint64(content[40:])
	for i := range uint64(binary.LittleEndian.Uint16(content[60:])) {
		header := content[shoff+64*i:]
		binary.LittleEndian.PutUint64(header[24:], 1<<39)
		binary.LittleEndian.PutUint64(header[32:], 1<<38)
	}
	require.NoError(t, os.WriteFile(hollow, content, 0o700))
	require.NoError(t, os.Truncate(hollow, 1<<40))
	within(t, 20*time.Second, func() {
		answer, err := r.file(requestOf(t, hollow))
		require.ErrorContains(t, err, hollow)
		require.True(t, answer.Faulty)
	})
	within(t, 20*time.Second, func() {
		answer, _ := r.units(pipeline.UnitRequest{FileRequest: requestOf(t, hollow)})
		require.Zero(t, answer.Index.Units())
	})

	list := fmt.Sprintf("/tmp/perf-%d.map", os.Getpid())
	require.NoError(t, os.WriteFile(list, []byte("1000 10 first\n"), 0o600))
	defer os.Remove(list)
	require.NoError(t, os.Truncate(list, 1<<40))
	within(t, 20*time.Second, func() {
		answer, err := r.perfMap(pipeline.PerfMapRequest{PID: uint32(os.Getpid())})
		require.ErrorContains(t, err, fmt.Sprint("process ", os.Getpid()))
		name, _ := answer.Map.Name(0x1000)
		require.Equal(t, "first", name)
	})
	for range 20 { // it has grown again each time: the allowance is used up
		within(t, 20*time.Second, func() {
			answer, err := r.perfMap(pipeline.PerfMapRequest{PID: uint32(os.Getpid())})
			require.Error(t, err)
			require.Equal(t, answer.Map == nil, answer.Refused)
		})
	}
	answer, err := r.perfMap(pipeline.PerfMapRequest{PID: uint32(os.Getpid())})
	require.ErrorIs(t, err, errNotAllowed)
	require.True(t, answer.Refused)
}

// What is wrong with debug information is told with the file's name.
func TestDamagedDebugInformationIsNamed(t *testing.T) {
	r, dir := hostileReader(t)
	file, zeros := filepath.Join(dir, "damaged"), filepath.Join(dir, "zeros")
	program(t, file)
	require.NoError(t, os.WriteFile(zeros, make([]byte, 64), 0o600))
	out, err := exec.Command("objcopy", "--update-section", ".debug_abbrev="+zeros, file).CombinedOutput()
	require.NoError(t, err, string(out))
	answer, err := r.units(pipeline.UnitRequest{FileRequest: requestOf(t, file)})
	require.ErrorContains(t, err, file)
	require.ErrorContains(t, err, "1 of 1 units")
	require.True(t, answer.Damaged)

	require.NoError(t, os.WriteFile(zeros, nil, 0o600))
	program(t, file, "-gsplit-dwarf", "-gdwarf-5", "-dumpdir", dir+"/")
	removed, err := filepath.Glob(filepath.Join(dir, "*.dwo"))
	require.NoError(t, err)
	require.NotEmpty(t, removed)
	for _, f := range removed {
		require.NoError(t, os.Remove(f))
	}
	request := pipeline.UnitRequest{FileRequest: requestOf(t, file)}
	answer, err = r.units(request)
	require.NoError(t, err)
	request.Index, request.Numbers = answer.Index, []uint32{0}
	_, err = r.units(request)
	require.ErrorContains(t, err, file)
	require.ErrorContains(t, err, ".dwo")
}

// What is wrong with unwind information is told with the file's name, and nothing is of files
// that have none.
func TestDamagedUnwindInformationIsNamed(t *testing.T) {
	r, dir := hostileReader(t)
	file := filepath.Join(dir, "damaged")
	program(t, file)
	answer, err := r.file(requestOf(t, file))
	require.NoError(t, err)
	require.False(t, answer.TableFaulty)
	functions := answer.Table.Functions

	workloads.DamageUnwindInformation(t, file)
	answer, err = r.file(requestOf(t, file))
	require.ErrorContains(t, err, file)
	require.ErrorContains(t, err, fmt.Sprintf("1 of %d descriptions", functions))
	require.True(t, answer.TableFaulty)
	require.False(t, answer.Faulty)
	require.Equal(t, functions-1, answer.Table.Functions)

	program(t, file, "-g0", "-nostdlib", "-static", "-Wl,-e,main", "-fno-asynchronous-unwind-tables")
	answer, err = r.file(requestOf(t, file))
	require.NoError(t, err)
	require.Nil(t, answer.Table)
	require.False(t, answer.TableFaulty)
}

// Programs whose debug files are known by a checksum alone, and are as large as is read.
func TestManyLargeFilesToSumUp(t *testing.T) {
	r, dir := hostileReader(t)
	debug := filepath.Join(dir, "debug", dir)
	require.NoError(t, os.MkdirAll(debug, 0o700))
	var files []string
	for i := range 20 {
		file, link := filepath.Join(dir, fmt.Sprint(i)), fmt.Sprint(i, ".debug")
		files = append(files, file)
		program(t, file, "-Wl,--build-id=none", fmt.Sprintf("-DN=%d", i))
		target := filepath.Join(debug, link)
		for _, args := range [][]string{
			{"objcopy", "--only-keep-debug", file, target},
			{"strip", file},
			{"objcopy", "--add-gnu-debuglink=" + target, file},
		} {
			out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
			require.NoError(t, err, string(out))
		}
		require.NoError(t, os.Truncate(target, 600<<20)) // now it is another
	}
	refused := 0
	within(t, time.Minute, func() {
		for _, file := range files {
			answer, err := r.file(requestOf(t, file))
			require.NotNil(t, answer.File)
			require.Less(t, answer.File.Functions(), 3, "stubs")
			if err != nil {
				require.ErrorIs(t, err, errNotAllowed)
				require.ErrorContains(t, err, file)
				require.True(t, answer.Faulty)
				refused++
			}
		}
	})
	require.GreaterOrEqual(t, refused, len(files)-3)
	// What was summed up is known.
	_, err := r.file(requestOf(t, files[0]))
	require.NoError(t, err)
}

func TestAllowance(t *testing.T) {
	now := time.Now()
	a := newAllowance(now)
	require.NoError(t, a.take(allowedAtOnce, now))
	require.ErrorIs(t, a.take(1, now), errNotAllowed)
	now = now.Add(time.Second)
	require.NoError(t, a.take(allowedPerSecond, now))
	require.ErrorIs(t, a.take(1, now), errNotAllowed)
	now = now.Add(time.Hour)
	require.ErrorIs(t, a.take(allowedAtOnce+1, now), errNotAllowed)
	require.NoError(t, a.take(allowedAtOnce, now))
}
