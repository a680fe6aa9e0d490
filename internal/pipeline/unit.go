// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"slices"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// UnitRequest asks to read units of a file's debug information, or its index.
type UnitRequest struct {
	FileRequest
	// Index is that of the file, nil if it is asked for. Numbers are the units.
	Index   *symbol.Index
	Numbers []uint32
}

// UnitAnswer is what became of a request.
type UnitAnswer struct {
	ID event.FileID
	// Index is what was asked for, nil if the file could not be opened, and empty if it has
	// none, or is Damaged.
	Index   *symbol.Index
	Damaged bool
	Numbers []uint32
	// Units are in the order of the numbers, nil for what could not be read; nil if the
	// file could not be opened.
	Units []*symbol.Unit
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
	unit int64 // or one of these
}

const (
	whole = -1 - iota
	index
)

// units are those that were asked for. Each request opens a file and unpacks what of it is
// compressed, so a window asks twice at most: for what it meets first, and when it ends.
type units struct {
	wanted map[part]struct{}
	// queue has what can be asked for now, and what waits for the end of the window as
	// its file is one of asked.
	queue []UnitRequest
	asked map[event.FileID]struct{}
	stats DebugUnits
}

// DebugUnits counts units of debug information, and indices that could not be had.
type DebugUnits struct {
	// Read are in use, Failed are damaged or elsewhere, Unreachable are those whose file
	// could not be opened any more.
	Read, Failed, Unreachable uint64
}

func newUnits() units {
	return units{wanted: map[part]struct{}{}, asked: map[event.FileID]struct{}{}}
}

// unit returns a unit of a file, or nil.
func (c *code) unit(id event.FileID, n uint32) *symbol.Unit {
	u, _ := c.known.Get(part{id, int64(n)})
	unit, _ := u.(*symbol.Unit)
	return unit
}

// index returns that of a file's lines and inlined calls, or nil. A Go program has its own.
func (c *code) index(id event.FileID, file *symbol.File) *symbol.Index {
	if x := file.Index(); x != nil {
		return x
	}
	x, _ := c.known.Get(part{id, index})
	found, _ := x.(*symbol.Index)
	return found
}

// wantIndex asks for an index unless it is on its way.
func (c *code) wantIndex(m *mapped) {
	key := part{c.content(m.Mapping), index}
	if _, ok := c.units.wanted[key]; ok || len(c.units.wanted) >= maxUnitsWanted {
		return
	}
	c.units.wanted[key] = struct{}{}
	c.units.queue = append(c.units.queue, c.unitRequest(key.file, m))
}

// unitRequest is one for nothing yet.
func (c *code) unitRequest(id event.FileID, m *mapped) UnitRequest {
	r := UnitRequest{FileRequest: FileRequest{ID: id, Holders: m.by, Mapping: *m.Mapping}}
	if id.BuildID == "" {
		r.Known = c.contents[m.File]
	}
	return r
}

// wantUnit asks for a unit unless it is known or on its way.
func (c *code) wantUnit(m *mapped, x *symbol.Index, n uint32) {
	id := c.content(m.Mapping)
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
		if r.ID == id && r.Index == x && len(r.Numbers) < maxUnitsOfRequest {
			r.Numbers = append(r.Numbers, n)
			return
		}
	}
	r := c.unitRequest(id, m)
	r.Index, r.Numbers = x, []uint32{n}
	c.units.queue = append(c.units.queue, r)
}

// requests returns up to n requests that need not wait.
func (u *units) requests(n int) (out []UnitRequest) {
	u.queue = slices.DeleteFunc(u.queue, func(r UnitRequest) bool {
		_, waits := u.asked[r.ID]
		if (waits && r.Index != nil) || len(out) >= n {
			return false
		}
		out = append(out, r)
		return true
	})
	for _, r := range out {
		if r.Index != nil {
			u.asked[r.ID] = struct{}{}
		}
	}
	return out
}

// window ends one.
func (u *units) window() { clear(u.asked) }

// unitsRead takes an answer. What could not be read is kept as nothing, so that it is not
// asked for again.
func (c *code) unitsRead(a UnitAnswer) {
	if a.Numbers == nil {
		delete(c.units.wanted, part{a.ID, index})
		switch {
		case a.Index == nil:
			c.units.stats.Unreachable++
		case a.Damaged:
			c.units.stats.Failed++
		}
		if a.Index != nil {
			c.known.Put(part{a.ID, index}, a.Index)
		}
		return
	}
	for i, n := range a.Numbers {
		key := part{a.ID, int64(n)}
		delete(c.units.wanted, key)
		switch {
		case a.Units == nil:
			c.units.stats.Unreachable++
		case a.Units[i] == nil:
			c.units.stats.Failed++
			c.known.Put(key, &symbol.Unit{})
		default:
			c.units.stats.Read++
			c.known.Put(key, a.Units[i])
		}
	}
}
