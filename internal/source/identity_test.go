// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// observe samples the host while something runs and returns all there was.
func observe(t *testing.T, hz int, during func()) (*history, *Kernel) {
	t.Helper()
	k := open(t, Settings{SamplesPerSecond: hz, PollInterval: time.Second, RingBufferSize: 16 << 20})
	tasks, err := k.Tasks()
	require.NoError(t, err)
	h := newHistory(tasks, k.Now())
	drain := func() {
		var b event.Batch
		drainAll(k, &b)
		h.add(&b)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		during()
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
		}
		drain()
	}
	return h, k
}

// requireTrue checks every sample and every life.
func requireTrue(t *testing.T, h *history, k *Kernel, lives *workloads.Lives) {
	t.Helper()
	at := k.Now()
	alive, err := k.Tasks()
	require.NoError(t, err)
	time.Sleep(300 * time.Millisecond) // a process is freed a grace period after its end
	require.NoError(t, k.Barrier())
	var b event.Batch
	drainAll(k, &b)
	h.add(&b)
	c, err := k.Counters()
	require.NoError(t, err)
	require.Zero(t, c.LifecycleLost)
	require.Zero(t, c.RingFull)
	if !preemptsTracepoints(t) {
		require.Zero(t, c.LifecycleMissed, "the history has gaps")
	}
	wrong := map[event.ProcID]string{}
	for i := range h.samples {
		s := &h.samples[i]
		if text := h.wrong(s, lives); text != "" {
			wrong[s.Proc] = fmt.Sprintf("generation %d %s tid %d: %s", s.Generation, s.Comm, s.TID, text)
		}
	}
	samples, images := h.inSlots()
	unbalanced, unfreed := h.unbalanced(alive, at)
	t.Logf("%d samples, %d in a slot, of %d images; %d released; %d instances, %d without a free; %d records missed",
		len(h.samples), samples, images, c.Released, len(h.lives), unfreed, c.LifecycleMissed)
	// A record that was missed, and counted, can make one life look wrong.
	assert.LessOrEqual(t, len(wrong)+len(unbalanced), int(c.LifecycleMissed), "%v, %v", wrong, unbalanced)
	// Up to four of a thousand on Linux 6.18; who was not freed is found missing.
	assert.LessOrEqual(t, unfreed, 2+len(h.lives)/50+int(c.LifecycleMissed))
}

// preemptsTracepoints reports whether the kernel may be one that lets a task take the CPU from
// another in a program of a tracepoint, and skips the program for it. Seen on 7.2, not on 6.18;
// TestSkippedRunsOfProgramsNeitherLeakNorLie in test/vm is of what follows.
func preemptsTracepoints(t *testing.T) bool {
	t.Helper()
	var u unix.Utsname
	require.NoError(t, unix.Uname(&u))
	major, err := strconv.Atoi(string(u.Release[:bytes.IndexByte(u.Release[:], '.')]))
	require.NoError(t, err)
	return major >= 7
}

// repeats is how often a scenario is repeated.
func repeats(full int) int {
	if testing.Short() {
		return max(full/10, 1)
	}
	return full
}

// turns is two programs that take turns on one PID, 2 to 20 ms each.
func turns(lives *workloads.Lives, pid, n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var script strings.Builder
	for i := range n {
		fmt.Fprintf(&script, "at %d ( exec %s burn %d %d ) ", pid, lives.Program(i), i/2, 2+random.IntN(19))
	}
	return script.String()
}

func TestTurnsOnOnePIDAreNotMixed(t *testing.T) {
	lives := workloads.BuildLives(t)
	pid, n := workloads.FreePID(t), repeats(1000)
	h, k := observe(t, 997, func() { lives.Run(t, turns(lives, pid, n)) })
	requireTrue(t, h, k, lives)
	_, images := h.inSlots()
	require.Greater(t, images, n/2, "most lives were sampled")
	instances := 0
	for p := range h.lives {
		if p.PID == uint32(pid) {
			instances++
		}
	}
	require.Equal(t, n, instances)
}

func TestEverySampleHasItsLife(t *testing.T) {
	lives := workloads.BuildLives(t)
	alpha, beta := lives.Alpha, lives.Beta
	for name, script := range map[string]string{
		"fork without exec": fmt.Sprintf("repeat %d ( fork ( burn 1 5 ) fork ( burn 2 5 ) )", repeats(60)),
		"exec chain": fmt.Sprintf("repeat %d ( fork ( burn 1 3 exec %s burn 2 3 exec %s burn 3 3 exec %s burn 4 3 ) )",
			repeats(50), beta, alpha, beta),
		"exec from another thread": fmt.Sprintf("repeat %d ( fork ( burn 1 3 texec %s burn 2 3 texec %s burn 3 3 ) )",
			repeats(60), beta, alpha),
		"main thread leaves": fmt.Sprintf("repeat %d ( fork ( exec %s leave burn 1 6 ) )", repeats(80), beta),
		"double fork":        fmt.Sprintf("repeat %d ( orphan ( burn 1 4 ) fork ( exec %s burn 2 3 ) )", repeats(60), beta),
		"vfork":              fmt.Sprintf("repeat %d ( vfork ( exec %s burn 1 4 ) vfork ( exec %s burn 2 4 ) )", repeats(60), beta, alpha),
		"zombie":             "zombie 2500 ( burn 1 100 ) fork ( burn 2 100 )",
	} {
		t.Run(name, func(t *testing.T) {
			h, k := observe(t, 997, func() { lives.Run(t, script) })
			requireTrue(t, h, k, lives)
			samples, _ := h.inSlots()
			require.Greater(t, samples, 20)
		})
	}
}

// Threads of lowest priority that were released and not switched away from yet
// outlive their leader, whose PID is given to the next.
func TestReleasedThreadsHaveNoIdentity(t *testing.T) {
	lives := workloads.BuildLives(t)
	pid := workloads.FreePID(t)
	h, k := observe(t, 4999, func() {
		lives.Run(t, "repeat %d ( at %d ( exec %s idlers 30 burn 1 2 ) at %d ( exec %s idlers 30 burn 2 2 ) )",
			repeats(300), pid, lives.Alpha, pid, lives.Beta)
	})
	requireTrue(t, h, k, lives)
	c, err := k.Counters()
	require.NoError(t, err)
	require.Positive(t, c.Released, "no released thread was sampled: the test has no power")
}
