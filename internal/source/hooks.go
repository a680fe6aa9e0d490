// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf/link"
)

// hooks are the attachments of the lifecycle programs.
type hooks struct {
	links []link.Link
}

func attach(o *objects) (*hooks, error) {
	h := &hooks{}
	for _, program := range o.lifecyclePrograms() {
		l, err := link.AttachTracing(link.TracingOptions{Program: program})
		if err != nil {
			return nil, errors.Join(explain(fmt.Errorf("attach %s: %w", program, err)), h.detach())
		}
		h.links = append(h.links, l)
	}
	return h, nil
}

// detach is safe to call twice.
func (h *hooks) detach() error {
	var errs []error
	for _, l := range h.links {
		errs = append(errs, l.Close())
	}
	h.links = nil
	return errors.Join(errs...)
}
