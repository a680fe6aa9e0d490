// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// FileRequest asks to read a file that a process has mapped, or had.
type FileRequest struct {
	ID event.FileID
	Holders
	Mapping event.Mapping
	// Placed: its unwind table has been placed already.
	Placed bool
	// Known is the file whose contents are known by this ID: if it is the same
	// still, there is nothing to read.
	Known event.File
}

// Holders are who may show a file.
type Holders struct {
	// PIDs are of the process that mapped it and of its parent. They may be other
	// processes by now.
	PIDs [2]uint32
	// Group is where the process was: others in it may have the same files.
	Group event.CgroupID
}

// FileAnswer is what a file told of itself.
type FileAnswer struct {
	ID event.FileID
	// Content is the file that was found, zero if none was.
	Content event.File
	// File is nil if it could not be read, or is known already.
	File *symbol.File
	// Table is its unwind table, if that was asked for and there is one. Pieces is
	// where that has been placed; Full: there was no room for it.
	Table  *unwind.Table
	Pieces []unwind.Piece
	Full   bool
	// Faulty: something of its names is damaged or too large, and was left out; TableFaulty:
	// of its table.
	Faulty, TableFaulty bool
}

const (
	// maxFileRequests bounds the files that wait to be read; a file that finds no
	// room is asked for again in the next window that meets it.
	maxFileRequests = 4096
	// maxBuildIDs bounds the files whose build ID is known. At the limit all are
	// read again as they come up.
	maxBuildIDs = 16384
)

// code is what is known of executable files and of the kernel.
type code struct {
	// known are files, and units of their debug information.
	known *symbol.Cache[part]
	units units
	// inline: debug information is read.
	inline bool
	// buildIDs are of files that mappings do not name by build ID.
	buildIDs map[event.File]string
	// contents are the files that were found where only a record told of them: those
	// may be changed in place.
	contents map[event.File]event.File
	// tables are the unwind tables of files, as far as they have been read.
	tables shelf
	// absent are files that could not be had when they were last asked for.
	absent map[event.FileID]struct{}
	// full counts the tables that found no room, faultyTables those that lack something, faulty
	// the files that have names in part.
	full, faultyTables, faulty uint64
	// wanted are the files that were asked for and have not been answered, and whether
	// their tables had been placed.
	wanted        map[event.FileID]bool
	queue         []FileRequest
	kernel        *symbol.Kernel
	kernelBuildID string
	// kernelBefore are the symbols that were replaced by those that were read from kernelFrom
	// on, as long as a window is open that began before.
	kernelBefore *symbol.Kernel
	kernelFrom   event.KTime
}

func newCode(maxBytes int) *code {
	return &code{
		known:    symbol.NewCache[part](maxBytes),
		units:    newUnits(),
		buildIDs: map[event.File]string{},
		contents: map[event.File]event.File{},
		tables:   shelf{files: map[event.FileID]*placed{}},
		absent:   map[event.FileID]struct{}{},
		wanted:   map[event.FileID]bool{},
	}
}

// id names the file of a mapping, by build ID as soon as that is known.
func (c *code) id(m *event.Mapping) event.FileID {
	if m.BuildID == "" && m.File != (event.File{}) {
		if buildID, ok := c.buildIDs[m.File]; ok {
			return event.FileID{BuildID: buildID}
		}
	}
	return m.ID()
}

// content names what a file says: where only a record tells of it, the file that was found,
// as another may be written over it.
func (c *code) content(m *event.Mapping) event.FileID {
	id := c.id(m)
	if found, ok := c.contents[id.File]; ok && id.File.Recorded() {
		return event.FileID{File: found}
	}
	return id
}

// requestID is what requests and answers name a file by, whatever it is known by: what only
// a record tells of may be another file by now.
func requestID(id event.FileID, m *event.Mapping) event.FileID {
	if m.File.Recorded() {
		return m.ID()
	}
	return id
}

// want asks for a file unless it is known or on its way. It returns whether an answer
// is to come.
func (c *code) want(id event.FileID, m *event.Mapping, by Holders) bool {
	if id == (event.FileID{}) || len(c.wanted) >= maxFileRequests {
		return false
	}
	asked := requestID(id, m)
	if _, ok := c.wanted[asked]; ok {
		return true
	}
	_, ok := c.known.Get(part{c.content(m), whole})
	_, isPlaced := c.tables.get(id)
	if ok && isPlaced && !m.File.Recorded() {
		return false
	}
	r := FileRequest{ID: asked, Holders: by, Mapping: *m, Placed: isPlaced && !m.File.Recorded()}
	if m.File.Recorded() && ok && isPlaced {
		r.Known = c.contents[m.File]
	}
	c.wanted[asked] = r.Placed
	c.queue = append(c.queue, r)
	return true
}

// holders are those that may show the files of a life.
func holders(life *process.Life) Holders {
	return Holders{[2]uint32{life.Proc.PID, life.Parent.PID}, life.Cgroup}
}

func (c *code) requests(n int) []FileRequest {
	n = min(n, len(c.queue))
	out := c.queue[:n:n]
	c.queue = c.queue[n:]
	return out
}

func (c *code) loaded(a FileAnswer) {
	id := a.ID
	wasPlaced := c.wanted[id]
	delete(c.wanted, id)
	delete(c.absent, id)
	if a.File == nil {
		if a.Content == (event.File{}) {
			c.miss(id)
		}
		return
	}
	if len(c.contents) >= maxBuildIDs || len(c.buildIDs) >= maxBuildIDs {
		clear(c.contents)
		clear(c.buildIDs)
	}
	if id.File.Recorded() {
		c.contents[id.File] = a.Content
		delete(c.buildIDs, id.File)
	}
	if buildID := a.File.GNUBuildID(); id.BuildID == "" && buildID != "" {
		c.buildIDs[id.File] = buildID
		id = event.FileID{BuildID: buildID}
	}
	content := id
	if id.File.Recorded() {
		content = event.FileID{File: a.Content}
	}
	if !c.known.Put(part{content, whole}, a.File) {
		c.known.Put(part{content, whole}, a.File.Nameless()) // it alone exceeds the limit
	}
	// Tables that were dropped meanwhile are asked for again.
	if _, ok := c.tables.get(id); !ok && !wasPlaced || a.Pieces != nil || a.ID.File.Recorded() {
		c.tables.put(id, &placed{pieces: a.Pieces, segments: a.File.Segments(), context: a.File.Context()})
	}
	if a.Full {
		c.full++
		c.tables.tight = true
	}
	if a.Faulty {
		c.faulty++
	}
	if a.TableFaulty {
		c.faultyTables++
	}
}

// miss notes a file that could not be had.
func (c *code) miss(id event.FileID) {
	if len(c.absent) >= maxBuildIDs {
		clear(c.absent)
	}
	c.absent[id] = struct{}{}
}

// isAbsent reports whether the file of a mapping could not be had when it was last asked for.
func (c *code) isAbsent(m *event.Mapping) bool {
	_, ok := c.absent[requestID(c.id(m), m)]
	return ok
}

// file returns what is known of the file of a mapping, or nil: also as long as one is looked at
// again that may have been changed.
func (c *code) file(m *event.Mapping) *symbol.File {
	if _, asked := c.wanted[m.ID()]; asked && m.File.Recorded() {
		return nil
	}
	f, _ := c.known.Get(part{c.content(m), whole})
	file, _ := f.(*symbol.File)
	return file
}

// asked says whether the file of a mapping, or the index of its debug information, is on
// its way.
func (c *code) asked(m *event.Mapping) bool {
	_, named := c.wanted[requestID(c.id(m), m)]
	_, indexed := c.units.wanted[part{c.content(m), index}]
	return named || indexed
}
