// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/window"
)

// The timeline is a drawing of this size, stretched to the width of the page.
const (
	timelineWidth  = 1000
	timelineHeight = 72
	// minSlots keeps the bars of the first windows slim.
	minSlots = 40
	// maxBars are as many as can be told apart: the newest.
	maxBars = 240
)

// timeline has a bar per window, the newest at the right.
type timeline struct {
	Bars          []bar
	Width, Height int
	// First and Last are the time at both ends, the first even if there was no
	// window yet.
	First, Last string
	// Top is what the highest bar stands for.
	Top string
}

// bar is a window: how much there was, and how much of it is chosen.
type bar struct {
	X, Width              string
	Y, Height             string
	ChosenY, ChosenHeight string
	Text, Address         string
	In                    bool
}

func newTimeline(c window.Choice, kind convert.Kind, m measure, all []window.Window) timeline {
	t := timeline{Width: timelineWidth, Height: timelineHeight}
	in := map[int64]bool{}
	for _, w := range c.Cut(all) {
		in[w.Start] = true
	}
	shown := all[max(0, len(all)-maxBars):]
	values := make([]amount, len(shown))
	var top float64
	for i, w := range shown {
		values[i] = amountOf(c, kind, w)
		top = max(top, values[i].rate(w, values[i].total))
	}
	slots := max(minSlots, len(shown))
	width := float64(timelineWidth) / float64(slots)
	for i, w := range shown {
		b := bar{
			X:     fmt.Sprintf("%.2f", float64(slots-len(shown)+i)*width),
			Width: fmt.Sprintf("%.2f", width*0.86),
			In:    in[w.Start],
		}
		b.Y, b.Height = scale(values[i].rate(w, values[i].total), top)
		b.ChosenY, b.ChosenHeight = scale(values[i].rate(w, values[i].chosen), top)
		b.Text = clock(w.Start) + " to " + clock(w.End) + ": " + m.text(values[i].total)
		only := c
		only.From, only.To, only.Last = w.Start, w.Start, 0
		b.Address = startAddress(only)
		t.Bars = append(t.Bars, b)
	}
	first, last := shown[0].Start, shown[len(shown)-1].End
	t.First, t.Last = clock(first-(last-first)/int64(len(shown))*int64(slots-len(shown))), clock(last)
	if m.cpu() {
		t.Top = fmt.Sprintf("%.2f cores", top)
	}
	return t
}

// amount is what a window has of a kind.
type amount struct{ total, chosen int64 }

func amountOf(c window.Choice, kind convert.Kind, w window.Window) amount {
	var a amount
	for s := range window.Shares([]window.Window{w}) {
		if s.Kind != kind {
			continue
		}
		a.total = convert.Add(a.total, s.Value)
		if c.Has(s) {
			a.chosen = convert.Add(a.chosen, s.Value)
		}
	}
	return a
}

// rate makes long and short windows comparable.
func (amount) rate(w window.Window, v int64) float64 {
	return float64(v) / float64(max(1, w.End-w.Start))
}

// scale is where a bar begins and how high it is.
func scale(v, top float64) (y, height string) {
	h := 0.0
	if top > 0 && v > 0 {
		h = max(1, v/top*timelineHeight)
	}
	return fmt.Sprintf("%.1f", timelineHeight-h), fmt.Sprintf("%.1f", h)
}
