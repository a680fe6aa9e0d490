// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/filter"
)

// Filter says which processes are profiled, see package filter.
type Filter struct {
	Include, Exclude []Rule
	// MinAge is how old a process has to be when a window begins.
	MinAge time.Duration
}

// Rule may name its user: which number that is, the host knows.
type Rule struct {
	filter.Rule
	UserName string
}

// String shows a rule as a configuration has it.
func (r Rule) String() string {
	var said []string
	for _, is := range []struct{ key, value string }{
		{"executable", r.Executable}, {"comm", r.Comm}, {"cgroup", r.Cgroup}, {"container", r.Container}, {"user", r.UserName},
	} {
		if is.value != "" {
			said = append(said, is.key+": "+is.value)
		}
	}
	if r.PID != nil {
		said = append(said, fmt.Sprint("pid: ", *r.PID))
	}
	if r.User != nil {
		said = append(said, fmt.Sprint("user: ", *r.User))
	}
	return "{" + strings.Join(said, ", ") + "}"
}

// resolve looks up the users that rules name.
func (f Filter) resolve(user func(name string) (uint32, error)) (out filter.Rules, err error) {
	if out.Include, err = resolve(f.Include, user); err != nil {
		return out, fmt.Errorf("filter::include: %w", err)
	}
	if out.Exclude, err = resolve(f.Exclude, user); err != nil {
		return out, fmt.Errorf("filter::exclude: %w", err)
	}
	return out, nil
}

func resolve(rules []Rule, user func(name string) (uint32, error)) (out []filter.Rule, err error) {
	for _, r := range rules {
		if r.UserName != "" {
			id, err := user(r.UserName)
			if err != nil {
				return nil, fmt.Errorf("user: %w: name a user of the host, or a number", err)
			}
			r.User = &id
		}
		out = append(out, r.Rule)
	}
	return slices.Clip(out), nil
}
