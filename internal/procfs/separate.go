// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// OpenOne opens the first of the paths that leads to a regular file of which is says
// yes: below the host's root, then below those of the processes. The host comes first,
// because who runs in a container can put there what they like.
//
// The error is ErrNoFile, wrapped. As with OpenMapped nothing but a regular file is
// opened.
func (r *Reader) OpenOne(pids []uint32, paths []string, is func(*os.File) bool) (*os.File, error) {
	if f := r.oneBelow(r.host, paths, is); f != nil {
		return f, nil
	}
	for _, pid := range pids {
		h, err := r.open(pid)
		if err != nil {
			continue
		}
		root, err := h.root()
		h.close()
		if err != nil {
			continue
		}
		f := r.oneBelow(root, paths, is)
		unix.Close(root)
		if f != nil {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%w: none of %q is what is looked for", ErrNoFile, paths)
}

// oneBelow does so below one root; nil if there is none.
func (r *Reader) oneBelow(root int, paths []string, is func(*os.File) bool) *os.File {
	for _, p := range paths {
		if f, err := r.openBelow(root, event.Mapping{Path: p}, is); err == nil {
			return f
		}
	}
	return nil
}
