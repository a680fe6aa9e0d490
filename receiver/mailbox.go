// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"sync/atomic"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/completion"
)

// mailbox brings completions to a listener of another component, in a goroutine
// of its own. It holds one: a newer completion replaces one that was not read,
// which says the same and more.
type mailbox struct {
	listener completion.Listener
	slot     chan completion.Completion
	replaced *atomic.Uint64
}

func newMailbox(l completion.Listener, replaced *atomic.Uint64) *mailbox {
	return &mailbox{listener: l, slot: make(chan completion.Completion, 1), replaced: replaced}
}

// post never blocks. Only one goroutine posts.
func (m *mailbox) post(c completion.Completion) {
	select {
	case m.slot <- c:
		return
	default:
	}
	select {
	case <-m.slot:
		m.replaced.Add(1)
	default: // just read
	}
	m.slot <- c
}

// run ends when the slot is closed; the newest completion is still delivered.
func (m *mailbox) run() {
	for c := range m.slot {
		m.listener.Completed(c)
	}
}
