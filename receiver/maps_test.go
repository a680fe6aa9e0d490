// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package receiver_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/roottest"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/test/workloads"
)

// placed is where samples of one name were attributed to: where they were taken, to the
// file before its names were read, to nothing, or to something else.
type placed struct {
	right, unnamed, none int
	wrong                map[string]int
}

// placesOf holds the innermost frames of the program against the names of its thread.
func placesOf(all []pprofile.Profiles, m workloads.Maps) map[string]*placed {
	out := map[string]*placed{}
	eachSample(all, func(a pcommon.Map, d pprofile.ProfilesDictionary, s pprofile.Sample) {
		name, frames := attribute(d, s.AttributeIndices(), "thread.name"), userFrames(d, s)
		if text(a, "process.executable.path").Str() != m.Program || name == "main" || name == "maps" || len(frames) == 0 {
			return
		}
		p := out[name]
		if p == nil {
			p = &placed{wrong: map[string]int{}}
			out[name] = p
		}
		n := s.TimestampsUnixNano().Len()
		switch file, function := fileOf(d, frames[0]), functionOf(d, frames[0]); {
		case file == m.Program || strings.Contains(file, "libc") || file == "[vdso]":
			// It asks for the time.
		case isAt(name, file, function, m):
			p.right += n
		case file == "":
			p.none += n
		case function == "?" && (file == m.A && name[0] != 'b' || file == m.B && name[0] == 'b'):
			p.unnamed += n
		default:
			p.wrong[function+" of "+file] += n
		}
	})
	return out
}

// isAt reports whether this is where the thread was that had the name.
func isAt(name, file, function string, m workloads.Maps) bool {
	switch name {
	case "memfd":
		return strings.HasPrefix(file, "/memfd:code")
	case "anon":
		return file == ""
	case "m2":
		return file == m.A && function == "a2"
	default:
		return function == name && file == map[byte]string{'a': m.A, 'b': m.B}[name[0]]
	}
}

// requirePlaces takes how many samples of a place may be in nothing, beside a tenth.
func requirePlaces(t *testing.T, places map[string]*placed, late int) {
	t.Helper()
	for _, name := range []string{"a0", "a2", "a3", "b0", "b1", "b3", "memfd", "anon", "m2"} {
		p := places[name]
		require.NotNil(t, p, name)
		t.Logf("%-5s %5d right, %4d without name, %4d in nothing, wrong: %v", name, p.right, p.unnamed, p.none, p.wrong)
		require.Empty(t, p.wrong, name)
		require.Greater(t, p.right, 50, "%s: the test has no power", name)
		if name == "m2" {
			require.Greater(t, p.right+p.unnamed, p.none/2, "what was moved is read within a second or so")
		} else {
			require.LessOrEqual(t, p.none, late+(p.right+p.unnamed+p.none)/10, name)
		}
	}
}

// Mappings over mappings, split ones, moved ones, of memfds and of no file: a sample is
// where the code was when it was taken.
func TestMappingsThatChange(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	m := workloads.BuildMaps(t)
	rounds := max(2, burned()/500)
	command := m.Command("change", rounds)
	requirePlaces(t, placesOf(profiledAsConfigured(t, 997, func() { runs(t, command[0], command[1:]...) }), m), 0)
}

// The same program has run for a while when the receiver starts: what it has mapped before
// is read at once, what it maps from then on is recorded. What it had mapped and gives up
// between start and read is lost: some milliseconds of a phase of 100.
func TestMappingsThatChangeAroundTheStart(t *testing.T) {
	roottest.InTime(t)
	roottest.Need(t)
	m := workloads.BuildMaps(t)
	rounds := max(2, burned()/500)
	command := m.Command("change", rounds+1)
	const late = 50
	var places map[string]*placed
	for range 3 { // a receiver that is held up between start and read loses more
		c := exec.Command(command[0], command[1:]...)
		require.NoError(t, c.Start())
		time.Sleep(250 * time.Millisecond) // it is about to split a mapping
		places = placesOf(profiledAsConfigured(t, 997, func() { require.NoError(t, c.Wait()) }), m)
		if a := places["a2"]; a != nil && a.none <= late {
			break
		}
	}
	requirePlaces(t, places, late)
}

// Records of mappings that find no room are counted, and what they would have told is
// read.
func TestLostMappingsAreReadAgain(t *testing.T) {
	roottest.InTime(t)
	m := workloads.BuildMaps(t)
	sink := &consumertest.ProfilesSink{}
	tab := startTable(t, asConfigured(997), sink)
	command := m.Command("flood", 4000)
	runs(t, command[0], command[1:]...)
	require.Positive(t, tab.metric(t, "mappings_lost"), "nothing was lost: the test has no power")
	require.NoError(t, tab.Shutdown(t.Context()))
	p := placesOf(sink.AllProfiles(), m)["b0"]
	require.NotNil(t, p)
	t.Logf("%+v", *p)
	require.Empty(t, p.wrong)
	require.Greater(t, p.right, p.none, "it is read again at the next sample")
}
