// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"errors"
	"sync"
	"time"
)

const (
	// allowedAtOnce is how much may be read at once of files that anybody can make large
	// and that have to be read whole, allowedPerSecond how much from then on: some percent
	// of a core.
	allowedAtOnce    = 1 << 30
	allowedPerSecond = 16 << 20
)

var errNotAllowed = errors.New("too much was read of large files lately")

// allowance bounds what many of these files cost. Those that find none left are not read, so
// that they do not keep names of others back.
type allowance struct {
	mu   sync.Mutex
	left float64
	at   time.Time
}

func newAllowance(now time.Time) *allowance { return &allowance{left: allowedAtOnce, at: now} }

// take takes bytes, if there are as many left.
func (a *allowance) take(bytes int64, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = min(allowedAtOnce, a.left+now.Sub(a.at).Seconds()*allowedPerSecond)
	a.at = now
	if float64(bytes) > a.left {
		return errNotAllowed
	}
	a.left -= float64(bytes)
	return nil
}
