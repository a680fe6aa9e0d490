// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/dwarfsymbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// UnitRequest asks to read units of a file's debug information.
type UnitRequest struct {
	FileRequest
	// Index is that of the file, Numbers are the units.
	Index   *dwarfsymbol.Index
	Numbers []uint32
}

// UnitAnswer is what became of a request.
type UnitAnswer struct {
	ID      event.FileID
	Numbers []uint32
	// Units are in the order of the numbers, nil for what could not be read; nil if the
	// file could not be opened.
	Units []*dwarfsymbol.Unit
}

const (
	// maxUnitsOfRequest bounds the units that are read at once, maxUnitsWanted those that
	// wait. What finds no room is asked for again when it is met next.
	maxUnitsOfRequest = 64
	maxUnitsWanted    = 4096
)

// part names a file, or a unit of its debug information.
type part struct {
	file event.FileID
	unit int64 // or whole
}

const whole = -1

// units are those that were asked for.
type units struct {
	wanted map[part]struct{}
	queue  []UnitRequest
	stats  DebugUnits
}

// DebugUnits counts units of debug information.
type DebugUnits struct {
	// Read are in use, Failed are damaged or elsewhere, Unreachable are those whose file
	// could not be opened any more.
	Read, Failed, Unreachable uint64
}

func newUnits() units { return units{wanted: map[part]struct{}{}} }

// unit returns a unit of a file, or nil.
func (c *code) unit(id event.FileID, n uint32) *dwarfsymbol.Unit {
	u, _ := c.known.Get(part{id, int64(n)})
	unit, _ := u.(*dwarfsymbol.Unit)
	return unit
}

// wantUnit asks for a unit unless it is known or on its way.
func (c *code) wantUnit(m *mapped, f *symbol.File, n uint32) {
	id := c.id(m.Mapping)
	key := part{id, int64(n)}
	if _, ok := c.units.wanted[key]; ok || len(c.units.wanted) >= maxUnitsWanted {
		return
	}
	if _, ok := c.known.Get(key); ok {
		return
	}
	c.units.wanted[key] = struct{}{}
	for i := range c.units.queue {
		r := &c.units.queue[i]
		if r.ID == id && len(r.Numbers) < maxUnitsOfRequest {
			r.Numbers = append(r.Numbers, n)
			return
		}
	}
	r := UnitRequest{FileRequest{ID: id, PIDs: m.pids, Mapping: *m.Mapping}, f.Units(), []uint32{n}}
	if id.BuildID == "" {
		r.Known = c.contents[m.File]
	}
	c.units.queue = append(c.units.queue, r)
}

func (c *code) unitRequests(n int) []UnitRequest {
	n = min(n, len(c.units.queue))
	out := c.units.queue[:n:n]
	c.units.queue = c.units.queue[n:]
	return out
}

// unitsRead takes an answer. What could not be read is kept as nothing, so that it is not
// asked for again.
func (c *code) unitsRead(a UnitAnswer) {
	for i, n := range a.Numbers {
		key := part{a.ID, int64(n)}
		delete(c.units.wanted, key)
		switch {
		case a.Units == nil:
			c.units.stats.Unreachable++
		case a.Units[i] == nil:
			c.units.stats.Failed++
			c.known.Put(key, &dwarfsymbol.Unit{})
		default:
			c.units.stats.Read++
			c.known.Put(key, a.Units[i])
		}
	}
}
