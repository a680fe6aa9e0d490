// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package window

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/google/pprof/profile"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
)

// Selected is the profile of a choice.
type Selected struct {
	Profile *profile.Profile
	// Processes and Programs are how many are in it, and Process is one of them.
	Processes, Programs int
	Process             Process
}

// Select adds up what is chosen of all windows. It is nil if there is nothing.
func Select(c Choice, all []Window) (*Selected, error) {
	kind, ok := c.KindOf(Kinds(all))
	if !ok {
		return nil, nil
	}
	builder := convert.NewBuilder(kind)
	processes := map[string]Process{}
	for _, w := range c.Cut(all) {
		for _, b := range w.Batches {
			if err := c.add(builder, kind, b, processes); err != nil {
				return nil, err
			}
		}
	}
	if len(processes) == 0 {
		return nil, nil
	}
	s := &Selected{Profile: builder.Profile(), Processes: len(processes)}
	programs := map[string]bool{}
	for _, s.Process = range processes {
		programs[s.Process.Program] = true
	}
	s.Programs = len(programs)
	return s, nil
}

func (c Choice) add(to *convert.Builder, kind convert.Kind, b *Batch, processes map[string]Process) error {
	resources := map[int]bool{}
	for _, s := range b.Shares {
		if s.Kind == kind && c.Has(s) {
			resources[s.Resource] = true
			processes[s.Process.Key] = s.Process
		}
	}
	if len(resources) == 0 {
		return nil
	}
	p, err := b.Profiles()
	if err != nil {
		return err
	}
	return to.Add(p, func(i int) bool { return resources[i] })
}

// Shares are those of all batches.
func Shares(windows []Window) iter.Seq[Share] {
	return func(yield func(Share) bool) {
		for _, w := range windows {
			for _, b := range w.Batches {
				for _, s := range b.Shares {
					if !yield(s) {
						return
					}
				}
			}
		}
	}
}

// Kinds are those of the windows, in a fixed order.
func Kinds(windows []Window) []convert.Kind {
	kinds := map[convert.Kind]bool{}
	for s := range Shares(windows) {
		kinds[s.Kind] = true
	}
	return slices.SortedFunc(maps.Keys(kinds), func(a, b convert.Kind) int {
		return cmp.Compare(a.String(), b.String())
	})
}
