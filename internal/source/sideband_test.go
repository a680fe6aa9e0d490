// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"debug/elf"
	"encoding/hex"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf/features"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// gnuBuildID reads the build ID of a file with another reader than ours.
func gnuBuildID(t *testing.T, path string) string {
	t.Helper()
	f, err := elf.Open(path)
	require.NoError(t, err)
	defer f.Close()
	note, err := f.Section(".note.gnu.build-id").Data()
	require.NoError(t, err)
	return hex.EncodeToString(note[16:])
}

// drained is everything there is, taken as a round does.
func drained(t testing.TB, k *Kernel) event.Batch {
	t.Helper()
	require.NoError(t, k.Barrier())
	heads := make([]uint64, k.Buffers())
	k.Heads(heads)
	var all, batch event.Batch
	for i := range heads {
		for more := true; more; {
			batch.Reset()
			_, more = k.Drain(i, heads[i], &batch)
			all.Lifecycle = append(all.Lifecycle, batch.Lifecycle...)
			all.Mapped = append(all.Mapped, batch.Mapped...)
			for _, s := range batch.Samples {
				s.Kernel, s.User = slices.Clone(s.Kernel), slices.Clone(s.User)
				all.Samples = append(all.Samples, s)
			}
		}
	}
	return all
}

// tellsBuildIDs reports whether records of mappings have build IDs, see perfBitBuildID.
func tellsBuildIDs(t *testing.T) bool {
	t.Helper()
	version, err := features.LinuxVersionCode()
	require.NoError(t, err)
	return version >= 5<<16|12<<8
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var stat unix.Stat_t
	require.NoError(t, unix.Stat(path, &stat))
	return stat.Ino
}

// A program that is over at once has told of its file all the same, after its exec
// and before its exit.
func TestMappingsOfAProgramThatIsOver(t *testing.T) {
	k := open(t, Settings{SamplesPerSecond: 1, PollInterval: time.Second})
	lives := workloads.BuildLives(t)
	id := gnuBuildID(t, lives.Alpha)
	const runs = 20
	pids := map[uint32]bool{}
	for range runs {
		cmd := exec.Command(lives.Alpha)
		require.NoError(t, cmd.Run())
		pids[uint32(cmd.Process.Pid)] = true
	}
	batch := drained(t, k)
	seen := 0
	for _, m := range batch.Mapped {
		if !pids[m.PID] || m.Path != lives.Alpha {
			continue
		}
		seen++
		if tellsBuildIDs(t) {
			require.Equal(t, event.FileID{BuildID: id}, event.FileID{BuildID: m.BuildID, File: m.File})
		} else {
			require.Empty(t, m.BuildID)
			require.Equal(t, inode(t, lives.Alpha), m.File.Inode)
		}
		require.True(t, between(&batch, m), "%+v", m)
	}
	require.Equal(t, runs, seen, "it has one executable segment")
	counters, err := k.Counters()
	require.NoError(t, err)
	require.Zero(t, counters.MappedLost)
	require.GreaterOrEqual(t, counters.Mapped, uint64(runs))
}

// between reports whether a mapping lies between the exec and the exit of its PID.
func between(b *event.Batch, m event.Mapped) bool {
	executed, exited := false, false
	for _, r := range b.Lifecycle {
		if r.Proc.PID == m.PID {
			executed = executed || r.Kind == event.Exec && r.KTime < m.KTime
			exited = exited || r.Kind == event.Exit && r.KTime < m.KTime
		}
	}
	return executed && !exited
}

// Before Linux 6.0 no event counts what it lost: loss is assumed when a buffer was full,
// also when it is found so after the event's end, and not because an event ends.
func TestLossThatIsNotCountedIsAssumed(t *testing.T) {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	s := &sideband{fd: fd, anchor: -1}
	require.NoError(t, s.retire())
	require.Zero(t, s.lost)
	s.noteLoss()
	require.EqualValues(t, 1, s.lost)
}

// Records of mappings wake nobody: they wait for the next drain.
func TestMappingsWakeNobody(t *testing.T) {
	k := open(t, Settings{SamplesPerSecond: 1, PollInterval: time.Second})
	lives := workloads.BuildLives(t)
	lives.Run(t, "repeat 300 ( vfork ( exec %s ) )", lives.Beta)
	var written uint64
	for _, c := range k.cpus {
		written += c.mapped.written()
		fds := []unix.PollFd{{Fd: int32(c.mapped.anchor), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		require.NoError(t, err)
		require.Zero(t, n, "CPU %d after %d bytes", c.mapped.cpu, c.mapped.written())
	}
	require.Greater(t, written, uint64(300*72), "the test has no power")
}

// What finds no room is counted.
func TestMappingsThatAreLostAreCounted(t *testing.T) {
	k := open(t, Settings{SamplesPerSecond: 1, PollInterval: time.Second})
	defer pin(t, k.cpus[0].id)()
	lives := workloads.BuildLives(t)
	counters := func() Counters {
		c, err := k.Counters()
		require.NoError(t, err)
		return c
	}
	for range 40 { // until the CPU has had nearly what its buffer holds
		lives.Run(t, "repeat 500 ( vfork ( exec %s ) )", lives.Beta)
		if k.cpus[0].mapped.written() > sidebandSize*9/10 {
			break
		}
	}
	lives.Run(t, "repeat 500 ( vfork ( exec %s ) )", lives.Beta)
	drained(t, k)
	lost := counters().MappedLost
	require.Positive(t, lost)
	drained(t, k)
	require.Equal(t, lost, counters().MappedLost, "what is lost is counted once")
}
