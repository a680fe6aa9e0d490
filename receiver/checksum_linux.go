// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/procfs"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// maxChecksums bounds the checksums that are kept; beyond it all are computed again.
const maxChecksums = 1024

// checksums are those of separate debug files, which are read whole for them: once, and
// within the allowance.
type checksums struct {
	allowance *allowance
	mu        sync.Mutex
	known     map[event.File]uint32
}

func newChecksums(a *allowance) *checksums {
	return &checksums{allowance: a, known: map[event.File]uint32{}}
}

// of returns the checksum of a file.
func (c *checksums) of(f *os.File, stopped *atomic.Bool) (uint32, error) {
	content, err := procfs.Identity(f)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	sum, ok := c.known[content]
	c.mu.Unlock()
	if ok {
		return sum, nil
	}
	if err := c.allowance.take(content.Size, time.Now()); err != nil {
		return 0, err
	}
	if sum, err = symbol.Checksum(stoppable{f, stopped}, content.Size); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxChecksums {
		clear(c.known)
	}
	c.known[content] = sum
	return sum, nil
}
