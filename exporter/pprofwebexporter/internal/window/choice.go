// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package window

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
)

// Choice is what a reader wants to see. Its zero value is everything.
type Choice struct {
	// From and To are the starts of the first and the last window, 0 for no bound.
	From, To int64
	// Last, if there are no such bounds, is how far back from the newest window.
	Last time.Duration
	// Kind is the kind's text; "" for the usual one.
	Kind string
	// Process and Program are keys.
	Process, Program, Container, Service string
	// Search is a part of a name.
	Search string
	// ByProgram lists programs, not processes.
	ByProgram bool
}

const byProgram = "program"

// ParseChoice reads what Values wrote.
func ParseChoice(v url.Values) (Choice, error) {
	c := Choice{
		Kind: v.Get("kind"), Process: v.Get("process"), Program: v.Get("program"), Container: v.Get("container"),
		Service: v.Get("service"), Search: v.Get("search"), ByProgram: v.Get("by") == byProgram,
	}
	var last int64
	for _, number := range []struct {
		name string
		to   *int64
	}{{"from", &c.From}, {"to", &c.To}, {"last", &last}} {
		text := v.Get(number.name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return c, fmt.Errorf("%s: %q is no number that is possible", number.name, text)
		}
		*number.to = n
	}
	if last > int64(maxLast/time.Second) {
		return c, fmt.Errorf("last: %d s is out of range, want at most %d", last, int64(maxLast/time.Second))
	}
	c.Last = time.Duration(last) * time.Second
	return c, nil
}

const maxLast = 366 * 24 * time.Hour

// Values has the parts of the choice that are set.
func (c Choice) Values() url.Values {
	v := url.Values{}
	number := func(name string, n int64) {
		if n != 0 {
			v.Set(name, strconv.FormatInt(n, 10))
		}
	}
	text := func(name, s string) {
		if s != "" {
			v.Set(name, s)
		}
	}
	number("from", c.From)
	number("to", c.To)
	number("last", int64(c.Last/time.Second))
	text("kind", c.Kind)
	text("process", c.Process)
	text("program", c.Program)
	text("container", c.Container)
	text("service", c.Service)
	text("search", c.Search)
	if c.ByProgram {
		v.Set("by", byProgram)
	}
	return v
}

// Cut returns the windows of the time that is chosen, of all of them by time.
func (c Choice) Cut(all []Window) []Window {
	from := c.From
	if c.From == 0 && c.To == 0 && c.Last != 0 && len(all) > 0 {
		from = all[len(all)-1].End - int64(c.Last)
	}
	return slices.DeleteFunc(slices.Clone(all), func(w Window) bool {
		return w.Start < from || (c.To != 0 && w.Start > c.To)
	})
}

// Has tells whether the choice includes a share. The kind is looked at elsewhere.
func (c Choice) Has(s Share) bool {
	return (c.Process == "" || c.Process == s.Process.Key) &&
		(c.Program == "" || c.Program == s.Process.Program) &&
		(c.Container == "" || c.Container == s.Process.Container) &&
		(c.Service == "" || c.Service == s.Process.Service) &&
		s.Process.Matches(c.Search)
}

// KindOf returns the kind that is chosen: the one named, else time of the CPU if
// there is any, else the first. It is false if there is none.
func (c Choice) KindOf(kinds []convert.Kind) (convert.Kind, bool) {
	for _, k := range kinds {
		if c.Kind == k.String() {
			return k, true
		}
	}
	if c.Kind != "" || len(kinds) == 0 {
		return convert.Kind{}, false
	}
	for _, k := range kinds {
		if name, unit := k.Shown(); k.Periodic() && name == "cpu" && unit == "nanoseconds" {
			return k, true
		}
	}
	return kinds[0], true
}
