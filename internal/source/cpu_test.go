// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
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
	var batch event.Batch
	kinds := func(pid uint32) (all []event.Kind) {
		drainAll(k, &batch)
		for _, l := range batch.Lifecycle {
			if l.Proc.PID == pid {
				all = append(all, l.Kind)
			}
		}
		return all
	}
	// Of some processes the kernel does not tell when they are freed: see Identity in ARCHITECTURE.md.
	var pids []uint32
	require.Eventually(t, func() bool {
		pids = append(pids, onCPU(t, last, "true"))
		return slices.ContainsFunc(pids, func(pid uint32) bool { return slices.Contains(kinds(pid), event.Free) })
	}, 10*time.Second, 50*time.Millisecond)
	require.NoError(t, k.Stop())
	require.NoError(t, k.Barrier())
	for _, pid := range pids {
		is := slices.DeleteFunc(kinds(pid), func(kind event.Kind) bool { return kind == event.Free })
		require.ElementsMatch(t, []event.Kind{event.Fork, event.Exec, event.Exit}, is)
	}
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

// samplesIn counts the samples of each CPU in a while, in which all are busy.
func samplesIn(t *testing.T, k *Kernel, d time.Duration) map[uint32]int {
	t.Helper()
	var before, batch event.Batch
	drainAll(k, &before)
	for deadline := time.Now().Add(d); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		drainAll(k, &batch)
	}
	n := map[uint32]int{}
	for i := range batch.Samples {
		n[batch.Samples[i].CPU]++
	}
	return n
}

func spin(t *testing.T, k *Kernel) {
	t.Helper()
	for _, c := range k.cpus {
		busy := exec.Command("taskset", "-c", strconv.Itoa(c.id), "sh", "-c", "while :; do :; done")
		require.NoError(t, busy.Start())
		t.Cleanup(func() {
			require.NoError(t, busy.Process.Kill())
			_ = busy.Wait()
		})
	}
}

// Only the CPUs that are named are sampled and due, whatever leaves and returns; lifecycle
// comes from all.
func TestSomeCPUs(t *testing.T) {
	_, all := openOnTwo(t)
	first, last := all[0], all[len(all)-1]
	k := open(t, Settings{SamplesPerSecond: 997, PollInterval: time.Second, CPUs: []int{last, 8000}})
	spin(t, k)
	check := func(d time.Duration) {
		n := samplesIn(t, k, d)
		require.Positive(t, n[uint32(last)])
		require.Len(t, n, 1)
	}
	check(300 * time.Millisecond)
	require.NoError(t, k.follow(all[:len(all)-1]))
	require.Empty(t, samplesIn(t, k, 100*time.Millisecond))
	require.NoError(t, k.follow(all))
	check(300 * time.Millisecond)
	var batch event.Batch
	drainAll(k, &batch)
	batch = event.Batch{}
	pid := onCPU(t, first, "true")
	drainAll(k, &batch)
	require.True(t, slices.ContainsFunc(batch.Lifecycle, func(e event.Lifecycle) bool { return e.Proc.PID == pid }))
	require.NoError(t, k.Stop())
	c, err := k.Counters()
	require.NoError(t, err)
	require.Equal(t, k.cpus[len(all)-1].retired, c.Expected(), "one CPU is due")
}

func TestCPUsOfWhichNoneIsOnline(t *testing.T) {
	roottest.Need(t)
	_, err := Open(Settings{SamplesPerSecond: 19, PollInterval: time.Second, CPUs: []int{8000, 8001}})
	require.ErrorContains(t, err, "cpus: none of [8000 8001] is online: name some of CPU 0")
}

// While sampling is off nothing is sampled or due, and lifecycle goes on.
func TestSamplingIsTurnedOffAndOn(t *testing.T) {
	k := open(t, Settings{SamplesPerSecond: 997, PollInterval: time.Second, Paused: true})
	spin(t, k)
	require.Empty(t, samplesIn(t, k, 100*time.Millisecond))
	turning := k.Now()
	require.NoError(t, k.Sample(true))
	on := k.Now()
	require.NoError(t, k.Sample(true))
	require.Len(t, samplesIn(t, k, 300*time.Millisecond), len(k.cpus))
	turningOff := k.Now()
	require.NoError(t, k.Sample(false))
	off := k.Now()
	before, err := k.Counters()
	require.NoError(t, err)
	var batch event.Batch
	pid := onCPU(t, k.cpus[0].id, "true")
	time.Sleep(100 * time.Millisecond)
	drainAll(k, &batch)
	require.True(t, slices.ContainsFunc(batch.Lifecycle, func(e event.Lifecycle) bool { return e.Proc.PID == pid }))
	for _, s := range batch.Samples {
		require.Less(t, s.KTime, off)
	}
	after, err := k.Counters()
	require.NoError(t, err)
	require.Equal(t, before.Expected(), after.Expected())
	require.Equal(t, before.Taken(), after.Taken())
	due := func(from, to event.KTime) float64 { return float64(to-from) / 1e9 * 997 * float64(len(k.cpus)) }
	require.GreaterOrEqual(t, float64(after.Expected()), due(on, turningOff)-float64(len(k.cpus)))
	require.LessOrEqual(t, float64(after.Expected()), due(turning, off)+float64(len(k.cpus)))
}
