// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build stacks && linux

// Package stacks_test compares the stacks of programs whose chains of calls are known,
// frame by frame.
package stacks_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	duration = flag.Duration("for", 5*time.Second, "how long each program is profiled")
	rate     = flag.Int("hz", 997, "samples per second")
	runtimes = flag.Bool("runtimes", false, "profile Node and Java too")
	update   = flag.Bool("update", false, "write the result to docs/stacks.md")
	only     = flag.String("programs", "", "names of the programs, a regular expression")
)

// verdict is what the samples of a program show.
type verdict struct {
	program        program
	samples, exact int
	// blind are stacks that end in code without any unwind information, by its name,
	// and are right up to there.
	blind map[string]int
	// torn are stacks of functions that overwrite return addresses, by name.
	torn map[string]int
	// other are the rest.
	other map[string]int
}

func judge(p program, stacks [][]frame) verdict {
	v := verdict{program: p, blind: map[string]int{}, torn: map[string]int{}, other: map[string]int{}}
	for _, stack := range stacks {
		if len(stack) == 0 {
			v.samples++
			v.other["no frames"]++
			continue
		}
		v.samples++
		last := stack[len(stack)-1].String()
		switch {
		case !slices.ContainsFunc(p.chains, func(c chain) bool { return c.matches(stack) }):
			if name := p.tornBy(stack); name != "" {
				v.torn[name]++
			} else {
				v.other[text(stack)]++
			}
		case slices.Contains(p.blind, last):
			v.blind[last]++
		default:
			v.exact++
		}
	}
	return v
}

// tornBy is the function that overwrites return addresses and is innermost, or called
// the one that is.
func (p program) tornBy(stack []frame) string {
	for _, f := range stack[:min(2, len(stack))] {
		for _, name := range p.torn {
			if f.is(name) {
				return name
			}
		}
	}
	return ""
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// share is of the samples that do not end in code without unwind information and are
// not torn.
func (v verdict) share() float64 {
	due := v.samples - sum(v.blind) - sum(v.torn)
	if due == 0 {
		return 100
	}
	return 100 * float64(v.exact) / float64(due)
}

func TestStacksAreTrue(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	wanted := regexp.MustCompile(*only)
	b := &builder{T: t, dir: t.TempDir(), here: here}
	programs := slices.DeleteFunc(b.all(), func(p program) bool {
		return !wanted.MatchString(p.name) || p.interpreted && !*runtimes
	})
	runs, profiles := profiled(t, programs, *rate, *duration)
	named := &images{twins: b.twins, read: map[string]*image{}}
	var verdicts []verdict
	for i, p := range programs {
		v := judge(p, runs[i].stacks(profiles, named))
		verdicts = append(verdicts, v)
		t.Run(p.name, func(t *testing.T) {
			t.Logf("%d samples, %.2f %% exact, blind %v, torn %v", v.samples, v.share(), v.blind, v.torn)
			for _, o := range v.worst(5) {
				t.Log(o)
			}
			require.Greater(t, v.samples, 100, "the test has no power")
			require.GreaterOrEqual(t, v.share(), 99.5)
			require.LessOrEqual(t, sum(v.torn), v.samples/20)
		})
	}
	if *update && !t.Failed() {
		document(t, verdicts)
	}
}

// worst are the most frequent stacks that are not true, in words that fit a line.
func (v verdict) worst(n int) (out []string) {
	keys := slices.SortedFunc(maps.Keys(v.other), func(a, b string) int { return v.other[b] - v.other[a] })
	for _, k := range keys[:min(n, len(keys))] {
		short := k
		if len(short) > 600 {
			short = short[:300] + " ... " + short[len(short)-300:]
		}
		out = append(out, fmt.Sprintf("%d: %d frames: %s", v.other[k], strings.Count(k, " ")+1, short))
	}
	return out
}
