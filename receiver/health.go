// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component/componentstatus"
)

// duty is what the receiver can fail at while it runs.
type duty int

const (
	delivering duty = iota
	completing
	duties
)

func (d duty) String() string {
	return [...]string{delivering: "deliver profiles", completing: "complete samples"}[d]
}

// health reports the component's status when it changes: in order while no duty
// fails.
type health struct {
	report func(*componentstatus.Event)

	mu    sync.Mutex
	fails [duties]error
}

// set tells how the last attempt at a duty ended. A failure that stays is
// reported once.
func (h *health) set(d duty, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := (err == nil) != (h.fails[d] == nil)
	h.fails[d] = err
	if err != nil {
		h.fails[d] = fmt.Errorf("%s: %w", d, err)
	}
	if !changed {
		return
	}
	if all := errors.Join(h.fails[:]...); all != nil {
		h.report(componentstatus.NewRecoverableErrorEvent(all))
		return
	}
	h.report(componentstatus.NewEvent(componentstatus.StatusOK))
}
