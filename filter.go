// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package ebpfprofilerreceiver

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/filter"
	profiler "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/receiver"
)

// maxFilterRules bounds what each process is held against.
const maxFilterRules = 256

// FilterConfig says which processes are profiled: those that any rule of Include matches,
// or all without such rules, but none that any rule of Exclude matches.
type FilterConfig struct {
	Include []FilterRule `mapstructure:"include"`
	Exclude []FilterRule `mapstructure:"exclude"`
	// MinProcessAge is how old a process has to be when a window begins.
	MinProcessAge time.Duration `mapstructure:"min_process_age"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// FilterRule matches a process that has everything the rule asks for.
type FilterRule struct {
	// Executable, Comm and Cgroup are patterns.
	Executable string `mapstructure:"executable"`
	Comm       string `mapstructure:"comm"`
	Cgroup     string `mapstructure:"cgroup"`
	// Container is an ID, or how it begins, or a name.
	Container string `mapstructure:"container"`
	PID       int    `mapstructure:"pid"`
	// User is a name or a number.
	User string `mapstructure:"user"`

	// prevent unkeyed literal initialization
	_ struct{}
}

var (
	_ confmap.Validator   = (*FilterConfig)(nil)
	_ confmap.Validator   = (*FilterRule)(nil)
	_ confmap.Unmarshaler = (*FilterRule)(nil)
)

// Unmarshal lets texts that are numbers be such in YAML too.
func (r *FilterRule) Unmarshal(conf *confmap.Conf) error {
	return unmarshal(conf, r, "user", "container", "comm")
}

// unmarshal reads a section in which numbers stand for the texts of some keys.
func unmarshal(conf *confmap.Conf, to any, texts ...string) error {
	for _, key := range texts {
		n, ok := conf.Get(key).(int)
		if !ok {
			continue
		}
		if err := conf.Merge(confmap.NewFromStringMap(map[string]any{key: strconv.Itoa(n)})); err != nil {
			return err
		}
	}
	return conf.Unmarshal(to)
}

// Validate reports what is out of range beside the rules.
func (c *FilterConfig) Validate() error {
	return errors.Join(
		inRange("include", len(c.Include), 0, maxFilterRules),
		inRange("exclude", len(c.Exclude), 0, maxFilterRules),
		atLeast("min_process_age", c.MinProcessAge, 0),
	)
}

// Validate reports what cannot be meant.
func (r *FilterRule) Validate() error {
	rule, err := r.rule()
	if err == nil && rule.Empty() && rule.UserName == "" {
		err = errors.New("a rule that asks for nothing is out of range, want executable, comm, cgroup, container, pid or user")
	}
	return errors.Join(err, inRange("pid", r.PID, 0, maxMaxProcesses), rule.Check())
}

func (r *FilterRule) rule() (out profiler.Rule, err error) {
	out.Rule = filter.Rule{Executable: r.Executable, Comm: r.Comm, Cgroup: r.Cgroup, Container: r.Container}
	if r.PID != 0 {
		pid := uint32(r.PID)
		out.PID = &pid
	}
	switch id, err := strconv.ParseInt(r.User, 10, 64); {
	case r.User == "":
	case err != nil:
		out.UserName = r.User
	case id < 0 || id >= 1<<32-1:
		return out, fmt.Errorf("user: %d is out of range, want a name or a number from 0 to %d", id, 1<<32-2)
	default:
		uid := uint32(id)
		out.User = &uid
	}
	return out, nil
}

func (c *FilterConfig) settings() profiler.Filter {
	return profiler.Filter{Include: rules(c.Include), Exclude: rules(c.Exclude), MinAge: c.MinProcessAge}
}

// rules are those of a configuration that has been validated.
func rules(of []FilterRule) (out []profiler.Rule) {
	for i := range of {
		r, _ := of[i].rule()
		out = append(out, r)
	}
	return out
}
