// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// What the table says is what was, and in the end nothing is left.
func TestTruth(t *testing.T) {
	images, accepted, found, missed := 0, uint64(0), 0, 0
	rapid.Check(t, func(t *rapid.T) {
		d := newDriver(t, Settings{ReadInterval: 1000})
		d.slow = d.chance(4)
		for range rapid.IntRange(1, 1500).Draw(t, "steps") {
			d.step()
		}
		d.finish()
		d.requireEmpty()
		require.Zero(t, d.table.Stats().Forced)
		images += d.images
		found, missed = found+d.found, missed+d.missed
		accepted += d.table.Stats().Answers.Accepted
	})
	require.NotZero(t, images)
	require.Greater(t, found, missed)
	t.Log("samples with an image:", images, "answers accepted:", accepted, "memory found:", found, "missed:", missed)
}

// With few places identities still hold and the bound does too.
func TestTruthAtTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 4).Draw(t, "max")
		d := newDriver(t, Settings{MaxProcesses: most, ReadInterval: 1000})
		d.limited = true
		for range rapid.IntRange(1, 600).Draw(t, "steps") {
			d.step()
			s := d.table.Stats()
			require.LessOrEqual(t, s.Live+s.Zombie+s.Exiting-len(d.table.dead), most)
			require.LessOrEqual(t, len(d.table.ghosts), most)
		}
		d.finish()
		d.requireEmpty()
	})
}

// A list of tasks that comes at any time does no harm: who is alive stays, and who
// is born after it was begun.
func TestTruthWithReconciliations(t *testing.T) {
	reconciled := uint64(0)
	rapid.Check(t, func(t *rapid.T) {
		d := newDriver(t, Settings{ReadInterval: 1000})
		d.anonymous = true
		for range rapid.IntRange(1, 1500).Draw(t, "steps") {
			d.step()
			if d.chance(20) {
				d.reconcile()
			}
		}
		d.finish()
		d.requireEmpty()
		reconciled += d.table.Stats().Reconciled
	})
	require.NotZero(t, reconciled)
}

// Lost records do not mix identities, and reconciliation removes what they left.
func TestTruthWithLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDriver(t, Settings{ReadInterval: 1000})
		kinds := rapid.SliceOfNDistinct(rapid.IntRange(1, 4), 1, 4, rapid.ID).Draw(t, "lost")
		lost := map[event.Kind]bool{}
		for _, k := range kinds {
			lost[event.Kind(k)] = true
		}
		d.loses = func(k event.Kind) bool { return lost[k] && d.chance(3) }
		// Without its exits or execs /proc cannot be judged.
		d.exactImages = !lost[event.Exec] && !lost[event.Exit]
		d.limited = true // comm and parent may be unknown
		d.losing = d.chance(2)
		d.losesMapped = func() bool { return d.losing && d.chance(3) }
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			d.step()
		}
		d.finish()
		d.pass()
		from := d.now
		d.pass()
		d.table.Reconcile(nil, from, d.now)
		d.w = d.now
		d.round()
		d.requireEmpty()
	})
}
