// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/watermark"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// children tells what the table says that each child has mapped at a place right
// after its fork, and how many records of mappings were lost.
func children(t *testing.T, k *Kernel, parent int, place uint64, ended <-chan error) (found map[uint32]string, lost uint64) {
	t.Helper()
	table := process.New(process.Settings{})
	found = map[uint32]string{}
	before, err := k.Counters()
	require.NoError(t, err)
	var forks []event.Lifecycle
	for last := false; !last; {
		select {
		case err := <-ended:
			require.NoError(t, err)
			last = true
		case <-time.After(20 * time.Millisecond):
		}
		until := k.Now() - watermark.Guard - 1
		if last {
			until = k.Now()
		}
		b := drained(t, k)
		table.Observe(b.Lifecycle)
		table.ObserveMapped(b.Mapped)
		for _, r := range b.Lifecycle {
			if r.Kind == event.Fork && r.Parent.PID == uint32(parent) {
				forks = append(forks, r)
			}
		}
		table.Complete(until)
		waiting := forks[:0]
		for _, f := range forks {
			if f.KTime >= until {
				waiting = append(waiting, f)
				continue
			}
			life := table.Attribute(&event.Sample{KTime: f.KTime + 1, Proc: f.Proc, Generation: f.Generation})
			if m := life.Memory().Find(place, f.KTime+1); m != nil {
				found[f.Proc.PID] = filepath.Base(m.Path)
			}
		}
		forks = waiting
		table.Evict(until)
	}
	after, err := k.Counters()
	require.NoError(t, err)
	return found, after.MappedLost - before.MappedLost
}

// The kernel copies the memory before it stamps the fork, and another thread may map
// something in between.
func TestAForkWhileAnotherThreadMaps(t *testing.T) {
	k := open(t, Settings{SamplesPerSecond: 1, PollInterval: time.Second})
	dir, n := t.TempDir(), 1000
	if testing.Short() {
		n = 300
	}
	var files []string
	for _, name := range []string{"A", "B"} {
		files = append(files, filepath.Join(dir, name))
		require.NoError(t, os.WriteFile(files[len(files)-1], append([]byte(name), make([]byte, 4096)...), 0o600))
	}
	forker := workloads.BuildForker(t)
	var said bytes.Buffer
	var found map[uint32]string
	lost := uint64(1)
	for range 5 { // the records of a second find room: a run beside which this test was held up says nothing
		said.Reset()
		cmd := exec.Command(forker, files[0], files[1], strconv.Itoa(n))
		cmd.Stdout, cmd.Stderr = &said, &said
		require.NoError(t, cmd.Start())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if found, lost = children(t, k, cmd.Process.Pid, workloads.ForkerPlace, ended); lost == 0 {
			break
		}
	}
	require.Zero(t, lost)
	wrong, told := 0, 0
	for line := range strings.Lines(said.String()) {
		var pid uint32
		var has string
		_, err := fmt.Sscan(line, &pid, &has)
		require.NoError(t, err, line)
		told++
		if got, ok := found[pid]; ok && got != has {
			wrong++
		}
	}
	t.Logf("%d children told, of %d something is said, of %d it is wrong", told, len(found), wrong)
	require.Equal(t, n, told)
	require.Zero(t, wrong)
}
