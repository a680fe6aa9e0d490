// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

// Package filter decides which processes are profiled. It is pure: what is known of a
// process goes in, a verdict comes out.
package filter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Rules say which processes are profiled: those that any of Include matches, or all
// without such rules, but none that any of Exclude matches.
type Rules struct{ Include, Exclude []Rule }

// Rule matches a process that has everything it asks for. What is "" or nil is not asked
// for.
type Rule struct {
	// Executable, Comm and Cgroup are patterns: * is any text without a slash, ** as an
	// element of a path any path, ? one letter, [ab] one of these, {a,b} either.
	Executable, Comm, Cgroup string
	// Container is the container's ID, or how it begins if these are at least minContainer
	// digits.
	Container string
	PID       *uint32
	User      *uint32
}

// Text is an attribute of a process, if it is known.
type Text struct {
	Value string
	Known bool
}

// Known returns an attribute that is known. It may be empty: a kernel thread has no
// executable.
func Known(value string) Text { return Text{value, true} }

// Process is what is known of a process.
type Process struct {
	Executable, Comm, Cgroup, Container Text
	PID, User                           uint32
}

// Verdict is whether a process is profiled. The order makes rules out of answers: what is
// true of all is their minimum, what is true of any the maximum.
type Verdict uint8

const (
	// Out: it is not profiled.
	Out Verdict = iota
	// Undecided: that hangs on what is not known.
	Undecided
	// In: it is profiled.
	In
)

// not is the opposite of a verdict.
func (v Verdict) not() Verdict { return In - v }

// verdict is In if what was asked is so.
func verdict(is bool) Verdict {
	if is {
		return In
	}
	return Out
}

// Empty reports whether the rules let everything in.
func (r Rules) Empty() bool { return len(r.Include) == 0 && len(r.Exclude) == 0 }

// Judge returns the verdict about a process.
func (r Rules) Judge(p *Process) Verdict {
	v := verdict(len(r.Include) == 0)
	for i := range r.Include {
		v = max(v, r.Include[i].matches(p))
	}
	for i := range r.Exclude {
		v = min(v, r.Exclude[i].matches(p).not())
	}
	return v
}

func (r *Rule) matches(p *Process) Verdict {
	v := In
	if r.PID != nil {
		v = min(v, verdict(*r.PID == p.PID))
	}
	if r.User != nil {
		v = min(v, verdict(*r.User == p.User))
	}
	v = min(v, match(r.Comm, p.Comm), match(r.Executable, p.Executable), match(r.Cgroup, p.Cgroup))
	if r.Container != "" {
		v = min(v, p.Container.is(r.isContainer))
	}
	return v
}

func (r *Rule) isContainer(id string) bool {
	digits := strings.Trim(r.Container, "0123456789abcdef") == ""
	return id == r.Container || digits && len(r.Container) >= minContainer && strings.HasPrefix(id, r.Container)
}

func match(pattern string, t Text) Verdict {
	if pattern == "" {
		return In
	}
	return t.is(func(value string) bool { return doublestar.MatchUnvalidated(pattern, value) })
}

func (t Text) is(what func(string) bool) Verdict {
	if !t.Known {
		return Undecided
	}
	return verdict(what(t.Value))
}

const (
	minContainer = 12 // what tools show of an ID
	maxContainer = 64 // digits of an ID, letters of a host, which is the name of a machine
	maxComm      = 15
)

// Empty reports whether a rule asks for nothing.
func (r *Rule) Empty() bool {
	return r.Executable+r.Comm+r.Cgroup+r.Container == "" && r.PID == nil && r.User == nil
}

// Check returns what cannot be meant in a rule.
func (r *Rule) Check() error {
	var errs []error
	for _, p := range []struct{ key, pattern string }{{"executable", r.Executable}, {"cgroup", r.Cgroup}} {
		if key, pattern := p.key, p.pattern; pattern != "" && !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "**") {
			errs = append(errs, fmt.Errorf("%s: %q matches no path, want a pattern that begins with / or **", key, pattern))
		}
	}
	for _, p := range []struct{ key, pattern string }{{"executable", r.Executable}, {"comm", r.Comm}, {"cgroup", r.Cgroup}} {
		if !doublestar.ValidatePattern(p.pattern) {
			errs = append(errs, fmt.Errorf("%s: %q is no pattern, want pairs of [] and {}, and \\ before them where they are meant", p.key, p.pattern))
		}
	}
	if len(r.Comm) > maxComm && !strings.ContainsAny(r.Comm, `*[{\`) {
		errs = append(errs, fmt.Errorf("comm: %q matches no process, want at most %d bytes, which is what the kernel keeps", r.Comm, maxComm))
	}
	if len(r.Container) > maxContainer || strings.ContainsFunc(r.Container, notOfName) {
		errs = append(errs, fmt.Errorf("container: %q is no container, want a name of letters, digits, dots, - and _, or an ID or its first digits, at least %d", r.Container, minContainer))
	}
	return errors.Join(errs...)
}

// notOfName reports letters that no machine has in its name.
func notOfName(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.", c)
}
