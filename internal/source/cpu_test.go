// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// drainAll reads every buffer to its end.
func drainAll(k *Kernel, batch *event.Batch) {
	heads := make([]uint64, k.Buffers())
	k.Heads(heads)
	for i, head := range heads {
		for more := true; more; {
			var part event.Batch
			_, more = k.Drain(i, head, &part)
			batch.Samples = append(batch.Samples, part.Samples...)
			batch.Lifecycle = append(batch.Lifecycle, part.Lifecycle...)
			batch.Mapped = append(batch.Mapped, part.Mapped...)
			batch.Kernel = append(batch.Kernel, part.Kernel...)
		}
	}
}

// onCPU runs a command there and returns its PID.
func onCPU(t *testing.T, cpu int, command ...string) uint32 {
	t.Helper()
	defer pin(t, cpu)()
	c := exec.Command(command[0], command[1:]...)
	require.NoError(t, c.Run())
	return uint32(c.Process.Pid)
}

func openOnTwo(t *testing.T) (k *Kernel, all []int) {
	t.Helper()
	k = open(t, Settings{SamplesPerSecond: 997, PollInterval: time.Second})
	for _, c := range k.cpus {
		all = append(all, c.id)
	}
	require.GreaterOrEqual(t, len(all), 2, "this test needs two CPUs")
	return k, all
}

func TestACPUThatLeavesAndReturnsIsSampledAgain(t *testing.T) {
	k, all := openOnTwo(t)
	last := all[len(all)-1]
	burn := []string{"sh", "-c", "n=0; while [ $n -lt 60000 ]; do n=$((n+1)); done"}
	seen := func() (samples, mappings int) {
		var batch event.Batch
		drainAll(k, &batch)
		batch = event.Batch{}
		pid := onCPU(t, last, burn...)
		drainAll(k, &batch)
		for _, s := range batch.Samples {
			if s.Proc.PID == pid && s.CPU == uint32(last) {
				samples++
			}
		}
		return samples, mappingsOfLastImage(&batch, pid)
	}
	samples, mappings := seen()
	require.Positive(t, samples)
	require.Positive(t, mappings)
	require.NoError(t, k.follow(all[:len(all)-1]))
	require.Nil(t, k.cpus[len(all)-1].clock)
	samples, mappings = seen()
	require.Zero(t, samples, "its clock has stopped")
	require.Zero(t, mappings)
	before, err := k.Counters()
	require.NoError(t, err)
	require.NoError(t, k.follow(all))
	samples, mappings = seen()
	require.Positive(t, samples)
	require.Positive(t, mappings)

	require.NoError(t, k.Stop())
	require.NoError(t, k.Barrier())
	var rest event.Batch
	drainAll(k, &rest)
	c, err := k.Counters()
	require.NoError(t, err)
	require.Zero(t, c.InBuffers())
	require.Equal(t, c.Expected(), c.Taken()+c.Unfired)
	require.Equal(t, before.MappedLost+1, c.MappedLost, "what was mapped there meanwhile went unseen")
}

// mappingsOfLastImage counts those of what a process executed last.
func mappingsOfLastImage(b *event.Batch, pid uint32) (n int) {
	var began event.KTime
	for _, r := range b.Lifecycle {
		if r.Proc.PID == pid && r.Kind == event.Exec {
			began = max(began, r.KTime)
		}
	}
	for _, m := range b.Mapped {
		if m.PID == pid && m.KTime > began {
			n++
		}
	}
	return n
}

func TestACPUWithoutARingLosesNoLifecycleRecord(t *testing.T) {
	k, all := openOnTwo(t)
	last := all[len(all)-1]
	require.NoError(t, k.follow(all[:len(all)-1]))
	require.NoError(t, k.objects.Rings.Delete(uint32(last)))
	pid := onCPU(t, last, "true")
	time.Sleep(100 * time.Millisecond) // a process is freed a grace period after its end
	require.NoError(t, k.Stop())
	require.NoError(t, k.Barrier())
	var batch event.Batch
	drainAll(k, &batch)
	var kinds []event.Kind
	for _, l := range batch.Lifecycle {
		if l.Proc.PID == pid {
			kinds = append(kinds, l.Kind)
		}
	}
	require.ElementsMatch(t, []event.Kind{event.Fork, event.Exec, event.Exit, event.Free}, kinds)
	c, err := k.Counters()
	require.NoError(t, err)
	require.Zero(t, c.LifecycleLost)
}

func TestAnUnchangedListChangesNothing(t *testing.T) {
	k := open(t, Settings{SamplesPerSecond: 19, PollInterval: time.Second})
	before := append([]*cpu(nil), k.cpus...)
	clock := k.cpus[0].clock
	require.NoError(t, k.UpdateCPUs())
	require.Equal(t, before, k.cpus)
	require.Same(t, clock, k.cpus[0].clock)
}
