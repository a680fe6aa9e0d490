// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"errors"
	"io"
	"sync/atomic"
)

var errStopped = errors.New("the receiver is being shut down")

// stoppable is a file whose reads fail once the receiver is being shut down: to read a large
// one takes seconds.
type stoppable struct {
	file    io.ReaderAt
	stopped *atomic.Bool
}

func (s stoppable) ReadAt(p []byte, offset int64) (int, error) {
	if s.stopped.Load() {
		return 0, errStopped
	}
	return s.file.ReadAt(p, offset)
}
