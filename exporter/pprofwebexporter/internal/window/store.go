// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package window

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
)

// Window is the batches that begin at the same moment.
type Window struct {
	// Start and End are Unix nanoseconds.
	Start, End int64
	Batches    []*Batch
}

// Limits bound a Store.
type Limits struct {
	Windows int
	Bytes   int64
}

// Dropped is what had to make room.
type Dropped struct{ Windows, Samples int }

// Store holds the windows that came last. It may be used by many goroutines.
type Store struct {
	limits Limits

	mu sync.Mutex
	// windows are in the order they came: a clock that is wrong keeps no window
	// alive.
	windows []*Window
	size    int64
}

// NewStore returns an empty store.
func NewStore(limits Limits) *Store { return &Store{limits: limits} }

// Add keeps a batch and says what it replaced for want of windows or of bytes. A
// batch that does not fit into an empty store is an error.
func (s *Store) Add(b *Batch) (byWindows, byBytes Dropped, err error) {
	if b.size > s.limits.Bytes {
		return byWindows, byBytes, fmt.Errorf("profiles take %d bytes, more than all windows may: max_bytes is %d", b.size, s.limits.Bytes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.size+b.size > s.limits.Bytes {
		s.dropOldest(&byBytes)
	}
	w := s.window(b)
	for len(s.windows) > s.limits.Windows {
		s.dropOldest(&byWindows)
	}
	w.Batches = append(w.Batches, b)
	w.End = max(w.End, b.End)
	s.size += b.size
	return byWindows, byBytes, nil
}

// window is the one that b is part of.
func (s *Store) window(b *Batch) *Window {
	for _, w := range slices.Backward(s.windows) {
		if w.Start == b.Start {
			return w
		}
	}
	w := &Window{Start: b.Start}
	s.windows = append(s.windows, w)
	return w
}

func (s *Store) dropOldest(d *Dropped) {
	for _, b := range s.windows[0].Batches {
		d.Samples += b.Samples
		s.size -= b.size
	}
	d.Windows++
	s.windows = slices.Delete(s.windows, 0, 1)
}

// Windows returns what is held, by time.
func (s *Store) Windows() []Window {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Window, len(s.windows))
	for i, w := range s.windows {
		out[i] = *w // what is appended later lies behind the end of this slice
	}
	slices.SortStableFunc(out, func(a, b Window) int { return cmp.Compare(a.Start, b.Start) })
	return out
}

// Held is how many windows and bytes are held.
func (s *Store) Held() (windows int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.windows), s.size
}
