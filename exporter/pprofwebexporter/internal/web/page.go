// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/window"
)

// maxRows is how many processes and choices of a list a page shows.
const maxRows = 200

// page is the start page, ready to be written.
type page struct {
	Choice window.Choice
	// Empty says that there is no window yet.
	Empty bool

	Measure string
	Span    string
	Total   string
	// Cores is how many were busy on average, "" if that says nothing.
	Cores    string
	Timeline timeline
	Presets  []link
	Filters  []link
	// Lists are of processes and of programs.
	Lists []link

	From, To, Containers, Services, Kinds list
	Views                                 links
	// Refresh is this page, Last the choice's time in seconds.
	Refresh, Last string

	Rows   []row
	Hidden int
}

// links are the addresses of the views of a choice.
type links struct{ FlameGraph, Top, Callers, Profile, Folded string }

func linksOf(c window.Choice) links {
	return links{
		address(c, "flamegraph"), address(c, "top"), address(c, "peek"),
		address(c, "profile.pb.gz"), address(c, "folded.txt"),
	}
}

// link is one to the start page.
type link struct {
	Text, Address string
	Current       bool
}

// list is what to choose one value from.
type list struct {
	Name    string
	Options []option
}

type option struct {
	Value, Text string
	Selected    bool
}

func newPage(c window.Choice, all []window.Window) page {
	p := page{Choice: c, Empty: len(all) == 0, Refresh: startAddress(c), Last: c.Values().Get("last")}
	kinds := window.Kinds(all)
	kind, ok := c.KindOf(kinds)
	if !ok {
		p.Filters = filters(c, nil)
		return p
	}
	m := newMeasure(kind)
	cut := c.Cut(all)
	covered := coverage(cut)
	rows, total, chosen := rowsOf(c, kind, cut)

	p.Measure = m.name
	p.Span = span(cut)
	p.Total = m.text(chosen)
	if chosen != total {
		p.Total += " of " + m.text(total)
	}
	p.Cores = coresText(m, chosen, covered)
	p.Timeline = newTimeline(c, kind, m, all)
	p.Presets = presets(c)
	p.Filters = filters(c, rows)
	p.Lists = lists(c)
	p.From = list{"from", times(all, c.From, "oldest")}
	p.To = list{"to", times(all, c.To, "newest")}
	p.Containers = list{"container", names(all, c.Container, func(p window.Process) string { return p.Container })}
	p.Services = list{"service", names(all, c.Service, func(p window.Process) string { return p.Service })}
	p.Kinds = list{"kind", kindOptions(kinds, kind)}
	p.Views = linksOf(c)
	p.Hidden = max(0, len(rows)-maxRows)
	for _, r := range rows[:len(rows)-p.Hidden] {
		p.Rows = append(p.Rows, r.show(c, m, total, covered))
	}
	return p
}

// coverage is the time that the windows cover, each moment once.
func coverage(windows []window.Window) time.Duration {
	var covered, until int64
	for _, w := range windows {
		from := max(w.Start, until)
		if w.End > from {
			covered += w.End - from
			until = w.End
		}
	}
	return time.Duration(covered)
}

// coresText is how many CPUs were busy on average.
func coresText(m measure, v int64, covered time.Duration) string {
	if !m.cpu() || covered == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", float64(v)/float64(covered))
}

func startAddress(c window.Choice) string { return "/?" + c.Values().Encode() }

// presets are times that end now.
func presets(c window.Choice) []link {
	var out []link
	for _, preset := range []struct {
		text string
		last time.Duration
	}{{"30 s", 30 * time.Second}, {"2 min", 2 * time.Minute}, {"10 min", 10 * time.Minute}, {"All", 0}} {
		to := c
		to.From, to.To, to.Last = 0, 0, preset.last
		out = append(out, link{preset.text, startAddress(to), to == c})
	}
	return out
}

// lists are the two ways to list what is chosen.
func lists(c window.Choice) []link {
	processes, programs := c, c
	processes.ByProgram, programs.ByProgram = false, true
	return []link{
		{"Processes", startAddress(processes), c == processes},
		{"Programs", startAddress(programs), c == programs},
	}
}

// filters are the parts of the choice that narrow it down, with the address of the
// choice without them.
func filters(c window.Choice, rows []row) []link {
	var out []link
	for _, part := range []struct {
		text string
		of   func(*window.Choice) *string
	}{
		{"process", func(c *window.Choice) *string { return &c.Process }},
		{"program", func(c *window.Choice) *string { return &c.Program }},
		{"container", func(c *window.Choice) *string { return &c.Container }},
		{"service", func(c *window.Choice) *string { return &c.Service }},
		{"name with", func(c *window.Choice) *string { return &c.Search }},
	} {
		without := c
		value := *part.of(&c)
		*part.of(&without) = ""
		switch {
		case value == "":
			continue
		case len(rows) > 0 && (value == c.Process || value == c.Program):
			value = rows[0].Name
		}
		out = append(out, link{Text: part.text + " " + short(value), Address: startAddress(without)})
	}
	return out
}

// short is how container runtimes show an ID.
func short(id string) string {
	const length = 12
	if runes := []rune(id); len(runes) > length {
		return string(runes[:length])
	}
	return id
}

func times(all []window.Window, chosen int64, unset string) []option {
	out := []option{{"", unset, chosen == 0}}
	for _, w := range all {
		value := fmt.Sprint(w.Start)
		out = append(out, option{value, clock(w.Start), w.Start == chosen})
	}
	return out
}

// names are the values of an attribute, and the one chosen even if it is gone.
func names(all []window.Window, chosen string, of func(window.Process) string) []option {
	seen := map[string]bool{chosen: true}
	for s := range window.Shares(all) {
		seen[of(s.Process)] = true
	}
	delete(seen, "")
	sorted := slices.Sorted(maps.Keys(seen))
	out := []option{{"", "any", chosen == ""}}
	for _, name := range sorted[:min(maxRows, len(sorted))] {
		out = append(out, option{name, name, name == chosen})
	}
	return out
}

func kindOptions(kinds []convert.Kind, chosen convert.Kind) []option {
	var out []option
	for _, k := range kinds[:min(maxRows, len(kinds))] {
		m := newMeasure(k)
		text := m.name
		if !k.Periodic() {
			text += " (" + m.unit + ")"
		}
		out = append(out, option{k.String(), text, k == chosen})
	}
	return out
}

// span is the time of the windows in words.
func span(windows []window.Window) string {
	if len(windows) == 0 {
		return "no window"
	}
	first, last := windows[0], windows[len(windows)-1]
	return fmt.Sprintf("%s to %s", clock(first.Start), clock(last.End))
}

func clock(ns int64) string { return time.Unix(0, ns).Format("15:04:05") }
