// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/service"
)

// Context is the process context that a process publishes.
type Context struct {
	// StartTick is the start of the process, as in Process.
	StartTick uint64
	// Published tells one state of the context from the next.
	Published uint64
	Service   service.Service
}

var (
	// ErrNoContext: the process publishes none.
	ErrNoContext = errors.New("no process context is published")
	// ErrUnchanged: it is the one that is known.
	ErrUnchanged = errors.New("the process context has not changed")
	// ErrTorn: it changed whenever it was read.
	ErrTorn = errors.New("the process context was changing")
)

// contextTries is how often a context is read that changes meanwhile. Writing one takes
// microseconds.
const contextTries = 3

// Context reads the process context of a process, unless it is the one that was published
// then. The error is one of the above, service.ErrMalformed, ErrGone, wrapped, or that of a
// system call.
func (r *Reader) Context(pid uint32, known uint64) (c Context, err error) {
	c.StartTick, err = r.look(pid, func(h handle, s stat, buf []byte) error {
		if s.left {
			return ErrNoContext // a zombie
		}
		return h.readContext(&c, r.memfd, known, buf)
	})
	return c, err
}

// maxContexts bounds the mappings of a process that are looked into. There should be one; a
// process that left another behind has it at any address.
const maxContexts = 4

// readContext takes the first context that is none but in name. Only mappings that no file
// system of others stands behind are looked into.
func (h handle) readContext(c *Context, memfd string, known uint64, buf []byte) error {
	f, err := h.file("maps")
	if err != nil {
		return fmt.Errorf("maps: %w", hint(err))
	}
	defer f.close()
	payload, lines := buf[:service.MaxPayload], buf[service.MaxPayload:]
	outcome, looks := ErrNoContext, 0
	_, err = eachMapping(f, lines, func(m mapLine) bool {
		if !m.isContext(memfd) {
			return true
		}
		outcome = h.readContextIn(m, c, known, payload)
		looks++
		return looks < maxContexts && errors.Is(outcome, service.ErrMalformed)
	})
	if err != nil {
		return fmt.Errorf("maps: %w", hint(err))
	}
	return outcome
}

func (h handle) readContextIn(m mapLine, c *Context, known uint64, buf []byte) error {
	memory, err := h.memory()
	if err != nil {
		return err
	}
	defer memory.Close()
	var payload []byte
	c.Published, payload, err = readPublished(memory.content, m.start, known, buf, func(head service.Header) error {
		return memory.check(m, head)
	})
	if err == nil {
		c.Service, err = service.FromContext(payload)
	}
	return err
}

// check allows a payload in the mapping of its header, or else where it is anonymous.
func (m Memory) check(own mapLine, head service.Header) error {
	if own.start <= head.Payload && head.Payload+uint64(head.Size) <= own.end {
		return nil
	}
	ok, err := m.anonymous(head.Payload, uint64(head.Size))
	if err == nil && !ok {
		err = service.ErrMalformed
	}
	return err
}

// readPublished follows the reading protocol of OTEP 4719: what was read is whole if it was
// published before, and at the same time after.
func readPublished(mem io.ReaderAt, at, known uint64, buf []byte, check func(service.Header) error) (uint64, []byte, error) {
	var head [service.HeaderSize]byte
	for try := range contextTries {
		if try > 0 {
			time.Sleep(time.Millisecond)
		}
		before, err := readHeader(mem, at, head[:])
		switch {
		case err != nil:
			return 0, nil, err
		case before.Published == 0:
			continue
		case before.Published == known:
			return known, nil, ErrUnchanged
		}
		if err := check(before); err != nil {
			return 0, nil, err
		}
		payload := buf[:before.Size]
		_, rerr := mem.ReadAt(payload, int64(before.Payload))
		after, err := readHeader(mem, at, head[:])
		if err != nil {
			return 0, nil, err
		}
		if after != before {
			continue
		}
		return before.Published, payload, rerr
	}
	return 0, nil, ErrTorn
}

func readHeader(mem io.ReaderAt, at uint64, buf []byte) (service.Header, error) {
	if _, err := mem.ReadAt(buf, int64(at)); err != nil {
		return service.Header{}, err
	}
	return service.ParseHeader(buf)
}

// memfdDevice is the device, as maps shows it, of the file system of memfd_create and of
// shared anonymous memory, which no path leads to. "" if there is none.
func memfdDevice() string {
	fd, err := unix.MemfdCreate(service.ContextName, unix.MFD_CLOEXEC)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return ""
	}
	return fmt.Sprintf("%02x:%02x", unix.Major(s.Dev), unix.Minor(s.Dev))
}
