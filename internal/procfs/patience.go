// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"errors"
	"io"
	"time"
)

// errHeldUp: a process did not let its memory be read.
var errHeldUp = errors.New("the process holds up who reads its memory")

const (
	// patience is how long a process may hold up a read of its arguments or its
	// environment, maxHeldUp how many may at a time. Such a read faults pages of the
	// process in, and a process can answer its faults itself, or never (userfaultfd,
	// fs/userfaultfd.c, handle_userfault, v6.12).
	patience  = 100 * time.Millisecond
	maxHeldUp = 4
)

// memoryReads reads files of /proc that show the memory of a process, each of which may
// never answer. It holds a place for each read under way.
type memoryReads chan struct{}

func newMemoryReads() memoryReads { return make(memoryReads, maxHeldUp) }

// read returns up to n bytes of a file. It closes the file, later if that does not answer.
func (m memoryReads) read(f file, n int64) ([]byte, error) {
	select {
	case m <- struct{}{}:
	default:
		f.close()
		return nil, errHeldUp
	}
	type answer struct {
		content []byte
		err     error
	}
	answered := make(chan answer, 1)
	go func() {
		content, err := io.ReadAll(io.LimitReader(f, n))
		f.close()
		<-m
		answered <- answer{content, err}
	}()
	select {
	case a := <-answered:
		return a.content, a.err
	case <-time.After(patience):
		return nil, errHeldUp
	}
}
