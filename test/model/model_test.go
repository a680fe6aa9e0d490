// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build model

// Package model checks the models of this folder with SPIN.
package model

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// variant is a model with some of its #ifdefs.
type variant struct {
	name, model, defines string
}

const (
	watermark = "watermark.pml"
	identity  = "identity.pml"
)

// The model as it is has no violation, also if programs may be preempted by
// others in any order.
var sound = []variant{
	{"programs nest", watermark, ""},
	{"programs are preempted", watermark, "-DPREEMPTIBLE"},
	{"a PID is used again", identity, ""},
}

// Each mutation takes away one part of the mechanism, and is caught.
var mutations = []variant{
	{"no barrier", watermark, "-DNO_BARRIER"},
	{"clock read after the barrier", watermark, "-DCLOCK_AFTER_BARRIER"},
	{"heads read before the barrier", watermark, "-DSNAPSHOT_BEFORE_BARRIER"},
	{"busy record taken as the end", watermark, "-DBUSY_IS_THE_END -DPREEMPTIBLE"},
	{"guard below the skew", watermark, "-DGUARD_BELOW_SKEW"},
	{"record submitted after the section", watermark, "-DSUBMIT_AFTER_SECTION"},
	{"minimum of the previous round", watermark, "-DPREVIOUS_ROUND_MINIMUM"},
	{"eviction at exit", identity, "-DEVICTION_AT_EXIT"},
	{"proc accepted by free", identity, "-DPROC_ACCEPTED_BY_FREE"},
	{"attribution at delivery", identity, "-DATTRIBUTION_AT_DELIVERY"},
	{"identity without start", identity, "-DIDENTITY_WITHOUT_START"},
	{"released threads kept", identity, "-DRELEASED_THREADS_KEPT"},
}

// Weak fairness: whoever can go on does so in the end. How far a reading of the
// clock is behind changes nothing then, and makes four times the states.
const (
	noSkew   = "-DSKEW=0 -DWINDOW=2"
	liveness = "-DNP -DNFAIR=3"
)

func TestTheWatermarkGoesOn(t *testing.T) {
	out := check(t, variant{"", watermark, noSkew}, liveness, "-l", "-f")
	require.Contains(t, out, "errors: 0")
	t.Log(states.FindString(out))
}

// A watermark that waits for a record of every CPU stops with an idle one.
func TestAWatermarkThatStopsIsCaught(t *testing.T) {
	out := check(t, variant{"", watermark, noSkew + " -DONLY_PRODUCERS"}, liveness, "-l", "-f")
	require.Contains(t, out, "non-progress cycle")
}

func TestTheModelsHold(t *testing.T) {
	for _, v := range sound {
		t.Run(v.name, func(t *testing.T) {
			out := check(t, v, "-DSAFETY -DNOFAIR")
			require.Contains(t, out, "errors: 0")
			require.Empty(t, unreached(out), "statements that no run reaches")
			t.Log(states.FindString(out))
		})
	}
}

func TestEveryMutationIsCaught(t *testing.T) {
	for _, v := range mutations {
		t.Run(v.name, func(t *testing.T) {
			flags := "-DSAFETY -DNOFAIR"
			if v.model == identity {
				flags += " -DBFS" // the violations are near
			}
			out := check(t, v, flags)
			require.Regexp(t, "assertion violated", out)
			t.Log(states.FindString(out))
		})
	}
}

var (
	states = regexp.MustCompile(`\d+ states, stored`)
	// Processes of the model go on for ever, so their ends are not reached.
	statement = regexp.MustCompile(`\.pml:\d+, state \d+, "[^"]*"`)
)

func unreached(out string) (all []string) {
	for _, s := range statement.FindAllString(out, -1) {
		if !strings.Contains(s, "-end-") {
			all = append(all, s)
		}
	}
	return all
}

// check makes a checker of a variant and runs it to its end.
func check(t *testing.T, v variant, flags string, search ...string) string {
	t.Helper()
	model, err := filepath.Abs(v.model)
	require.NoError(t, err)
	dir := t.TempDir()
	run(t, dir, "spin", append(strings.Fields(v.defines), "-a", model)...)
	run(t, dir, "gcc", append(strings.Fields(flags), "-O2", "-DCOLLAPSE", "-DMEMLIM=6000", "-o", "pan", "pan.c")...)
	out := run(t, dir, "./pan", append(search, "-m10000000")...)
	require.NotContains(t, out, "max search depth too small")
	require.NotContains(t, out, "pan: reached -DMEMLIM", "the search was not completed")
	require.NotContains(t, out, "out of memory", "the search was not completed")
	return out
}

func run(t *testing.T, dir, command string, arguments ...string) string {
	t.Helper()
	if command == "./pan" {
		command = filepath.Join(dir, "pan")
	}
	cmd := exec.Command(command, arguments...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %s\n%s(apt-get install spin gcc libc6-dev)", command, arguments, out)
	return string(out)
}
