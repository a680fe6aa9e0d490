// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/convert"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/exporter/pprofwebexporter/internal/window"
)

// row is a process, or a program with its processes.
type row struct {
	window.Process
	ContainerShort, ContainerAddress string
	// Count is how many processes it is, Processes where they are listed.
	Count               int
	Processes           string
	Share, Value, Cores string
	Views               links

	keys  map[string]bool
	value int64
}

// rowsOf lists what is chosen, the busiest first, with the values of all and of
// what is chosen.
func rowsOf(c window.Choice, kind convert.Kind, cut []window.Window) (rows []row, total, chosen int64) {
	byKey := map[string]*row{}
	for s := range window.Shares(cut) {
		if s.Kind != kind {
			continue
		}
		total = convert.Add(total, s.Value)
		if !c.Has(s) {
			continue
		}
		chosen = convert.Add(chosen, s.Value)
		key := s.Process.Key
		if c.ByProgram {
			key = s.Process.Program
		}
		r := byKey[key]
		if r == nil {
			r = &row{keys: map[string]bool{}}
			byKey[key] = r
		}
		r.Process = s.Process // the newest names
		r.keys[s.Process.Key] = true
		r.value = convert.Add(r.value, s.Value)
	}
	for _, r := range byKey {
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(b.value, a.value), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Key, b.Key))
	})
	return rows, total, chosen
}

// show fills what readers see.
func (r row) show(c window.Choice, m measure, total int64, covered time.Duration) row {
	r.Count = len(r.keys)
	r.ContainerShort = short(r.Container)
	ofContainer := c
	ofContainer.Container = r.Container
	r.ContainerAddress = startAddress(ofContainer)
	r.Share, r.Value, r.Cores = percent(r.value, total), m.text(r.value), coresText(m, r.value, covered)
	own := window.Choice{From: c.From, To: c.To, Last: c.Last, Kind: c.Kind}
	if r.Count > 1 {
		own.Program = r.Program
		r.Processes = startAddress(own)
	} else {
		own.Process = r.Key
	}
	r.Views = linksOf(own)
	return r
}
