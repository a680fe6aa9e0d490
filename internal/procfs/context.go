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
	h, err := r.open(pid)
	if err != nil {
		return c, err
	}
	defer h.close()
	buf := r.buffers.Get().(*[bufSize]byte)
	defer r.buffers.Put(buf)
	s, err := h.stat(buf[:])
	if err != nil {
		return c, err
	}
	c.StartTick = s.startTick
	if s.left {
		thread, ok := h.thread()
		if !ok {
			return c, ErrNoContext // a zombie
		}
		defer thread.close()
		h = thread
	}
	err = h.readContext(&c, r.memfd, known, buf[:])
	return c, err
}

func (h handle) readContext(c *Context, memfd string, known uint64, buf []byte) error {
	places, err := h.contexts(memfd, buf)
	switch {
	case err != nil:
		return err
	case len(places) == 0:
		return ErrNoContext
	}
	mem, err := h.file("mem")
	if err != nil {
		return fmt.Errorf("mem: %w", hint(err))
	}
	defer mem.close()
	// There should be one; a process that left another behind has it at any address.
	for _, at := range places {
		var payload []byte
		c.Published, payload, err = readPublished(mem, at, known, buf, func(start, end uint64) bool {
			ok, ferr := h.harmless(memfd, start, end, buf)
			return ferr == nil && ok
		})
		if err == nil {
			c.Service, err = service.FromContext(payload)
		}
		if !errors.Is(err, service.ErrMalformed) {
			return err
		}
	}
	return err
}

// readPublished follows the reading protocol of OTEP 4719: what was read is whole if it was
// published before, and at the same time after.
func readPublished(mem io.ReaderAt, at, known uint64, buf []byte, harmless func(start, end uint64) bool) (uint64, []byte, error) {
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
		case !harmless(before.Payload, before.Payload+uint64(before.Size)):
			return 0, nil, service.ErrMalformed
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

// contexts are where mappings begin that are named like process contexts.
func (h handle) contexts(memfd string, buf []byte) (at []uint64, err error) {
	err = h.eachRange(buf, func(r mapRange) {
		if len(at) < maxContexts && r.isContext(memfd) {
			at = append(at, r.start)
		}
	})
	return at, err
}

// maxContexts bounds the mappings of a process that are looked into.
const maxContexts = 4

// harmless reports whether all of a range is memory that nobody's file system stands
// behind: to read a page of which may take as long as that pleases.
func (h handle) harmless(memfd string, start, end uint64, buf []byte) (bool, error) {
	at := start
	err := h.eachRange(buf, func(r mapRange) {
		if r.start <= at && at < r.end && r.harmless(memfd) {
			at = r.end
		}
	})
	return at >= end, err
}

func (h handle) eachRange(buf []byte, take func(mapRange)) error {
	f, err := h.file("maps")
	if err != nil {
		return fmt.Errorf("maps: %w", hint(err))
	}
	defer f.close()
	_, err = eachLine(f, buf, func(line []byte) error {
		r, err := parseMapRange(line)
		if err == nil {
			take(r)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("maps: %w", hint(err))
	}
	return nil
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

// ReadAt implements io.ReaderAt for the memory of a process. It reads all or fails: with
// /proc/PID/mem, unlike process_vm_readv, faults do not wait for who handles them in user
// space (get_user_pages_remote without locked, mm/gup.c, v6.12).
func (f file) ReadAt(b []byte, at int64) (int, error) {
	var n int
	err := retry(func() (err error) {
		n, err = unix.Pread(int(f), b, at)
		return err
	})
	if err == nil && n < len(b) {
		err = io.ErrUnexpectedEOF
	}
	return max(n, 0), gone(err)
}
