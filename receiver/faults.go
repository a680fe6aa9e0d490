// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
)

// repeatFault is how often a fault that stays is logged again.
const repeatFault = time.Minute

// faults tells the operator of what the profiler survives: at once when it is
// new, once a minute while it stays.
type faults struct {
	log *zap.Logger

	mu     sync.Mutex
	last   string
	logged time.Time
	unsaid int
	// limitedAt is when a fault of a limited kind was logged last.
	limitedAt     time.Time
	limitedUnsaid int
}

func (f *faults) warn(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if text := err.Error(); text == f.last && time.Since(f.logged) < repeatFault {
		f.unsaid++
		return
	}
	f.log.Warn("The profiler goes on with a fault", zap.Error(err), zap.Int("not_logged_before", f.unsaid))
	f.last, f.logged, f.unsaid = err.Error(), time.Now(), 0
}

// limited logs one fault a minute, of any that are different. nil is none, nor is it one that
// the receiver stops.
func (f *faults) limited(err error) {
	if err == nil || errors.Is(err, errStopped) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.limitedAt) < repeatFault {
		f.limitedUnsaid++
		return
	}
	f.log.Warn("The profiler goes on with a fault", zap.Error(err), zap.Int("not_logged_before", f.limitedUnsaid))
	f.limitedAt, f.limitedUnsaid = time.Now(), 0
}
