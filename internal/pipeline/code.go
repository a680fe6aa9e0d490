// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/process"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// FileRequest asks to read a file that a process has mapped, or had.
type FileRequest struct {
	ID event.FileID
	// PIDs are of processes that may show the file: the one that mapped it and its
	// parent. They may be other processes by now.
	PIDs    [2]uint32
	Mapping event.Mapping
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
	files *symbol.Cache
	// buildIDs are of files that mappings do not name by build ID.
	buildIDs map[event.File]string
	// wanted are the files that were asked for and have not been answered.
	wanted        map[event.FileID]struct{}
	queue         []FileRequest
	kernel        *symbol.Kernel
	kernelBuildID string
}

func newCode(maxBytes int) *code {
	return &code{
		files:    symbol.NewCache(maxBytes),
		buildIDs: map[event.File]string{},
		wanted:   map[event.FileID]struct{}{},
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

// want asks for a file unless it is known or on its way.
func (c *code) want(id event.FileID, m *event.Mapping, life *process.Life) {
	if id == (event.FileID{}) || len(c.wanted) >= maxFileRequests {
		return
	}
	if _, ok := c.wanted[id]; ok {
		return
	}
	if _, ok := c.files.Get(id); ok {
		return
	}
	c.wanted[id] = struct{}{}
	c.queue = append(c.queue, FileRequest{ID: id, PIDs: [2]uint32{life.Proc.PID, life.Parent.PID}, Mapping: *m})
}

func (c *code) requests(n int) []FileRequest {
	n = min(n, len(c.queue))
	out := c.queue[:n:n]
	c.queue = c.queue[n:]
	return out
}

func (c *code) loaded(id event.FileID, f *symbol.File) {
	delete(c.wanted, id)
	if f == nil {
		return
	}
	if buildID := f.GNUBuildID(); id.BuildID == "" && buildID != "" {
		if len(c.buildIDs) >= maxBuildIDs {
			clear(c.buildIDs)
		}
		c.buildIDs[id.File] = buildID
		id = event.FileID{BuildID: buildID}
	}
	c.files.Put(id, f)
}

// file returns what is known of the file of a mapping, or nil.
func (c *code) file(m *event.Mapping) *symbol.File {
	f, _ := c.files.Get(c.id(m))
	return f
}
