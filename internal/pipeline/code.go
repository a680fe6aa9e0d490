// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// FileRequest asks to read a file through a process that has it mapped.
type FileRequest struct {
	PID     uint32
	Mapping event.Mapping
}

// maxFileRequests bounds the files that wait to be read; a file that finds no
// room is asked for again in the next window that meets it.
const maxFileRequests = 4096

// code is what is known of executable files and of the kernel.
type code struct {
	files *symbol.Cache
	// wanted are the files that were asked for and have not been answered.
	wanted        map[event.File]struct{}
	queue         []FileRequest
	kernel        *symbol.Kernel
	kernelBuildID string
}

func newCode(maxBytes int) *code {
	return &code{files: symbol.NewCache(maxBytes), wanted: map[event.File]struct{}{}}
}

// want asks for a file unless it is known or on its way.
func (c *code) want(pid uint32, m *event.Mapping) {
	if m.File == (event.File{}) || len(c.wanted) >= maxFileRequests {
		return
	}
	if _, ok := c.wanted[m.File]; ok {
		return
	}
	if _, ok := c.file(m.File); ok {
		return
	}
	c.wanted[m.File] = struct{}{}
	c.queue = append(c.queue, FileRequest{PID: pid, Mapping: *m})
}

func (c *code) requests(n int) []FileRequest {
	n = min(n, len(c.queue))
	out := c.queue[:n:n]
	c.queue = c.queue[n:]
	return out
}

func (c *code) loaded(key event.File, f *symbol.File) {
	delete(c.wanted, key)
	if f != nil {
		c.files.Put(key, f)
	}
}

func (c *code) file(key event.File) (*symbol.File, bool) {
	return c.files.Get(key)
}
