// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Who is rejected sends nothing, by both samplers; another generation, another start and
// who is admitted again do.
func TestRejectedLivesSendNothing(t *testing.T) {
	for _, inParts := range []bool{false, true} {
		k := open(t, Settings{SamplesPerSecond: 997, PollInterval: time.Second, MaxRejected: 2, walkInParts: inParts})
		busy := exec.Command("sh", "-c", "while :; do :; done")
		require.NoError(t, busy.Start())
		t.Cleanup(func() {
			require.NoError(t, busy.Process.Kill())
			_ = busy.Wait()
		})
		samples := func() (n int, id event.LifeID) {
			var batch event.Batch
			drainAll(k, &batch)
			batch = event.Batch{}
			time.Sleep(300 * time.Millisecond)
			drainAll(k, &batch)
			for _, s := range batch.Samples {
				if s.Proc.PID == uint32(busy.Process.Pid) {
					n, id = n+1, event.LifeID{Proc: s.Proc, Generation: s.Generation}
				}
			}
			return n, id
		}
		n, id := samples()
		require.Positive(t, n)
		older, former := id, id
		older.Proc.Start--
		former.Generation--
		require.NoError(t, k.Reject(older))
		require.NoError(t, k.Reject(former))
		n, _ = samples()
		require.Positive(t, n)
		require.ErrorIs(t, k.Reject(id), unix.E2BIG, "there is a bound")
		require.NoError(t, k.Readmit(older))
		require.NoError(t, k.Readmit(older))
		require.NoError(t, k.Reject(id))
		require.NoError(t, k.Reject(id))
		before, err := k.Counters()
		require.NoError(t, err)
		n, _ = samples()
		require.LessOrEqual(t, n, 1)
		after, err := k.Counters()
		require.NoError(t, err)
		require.Greater(t, after.Filtered, before.Filtered+20)
		require.NoError(t, k.Readmit(id))
		n, _ = samples()
		require.Positive(t, n)
	}
}
