// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"fmt"
	"os"
)

// OpenMemory opens the memory of a process for reading at its addresses: that of the
// program which it runs now, whatever it runs later (fs/proc/base.c, proc_mem_open,
// v6.12). It also returns the process's start in ticks of 10 ms. The error is ErrGone,
// wrapped, when the process is no more.
func (r *Reader) OpenMemory(pid uint32) (_ *os.File, startTick uint64, err error) {
	h, err := r.open(pid)
	if err != nil {
		return nil, 0, fmt.Errorf("process %d: %w", pid, err)
	}
	defer h.close()
	buf := r.buffers.Get().(*[bufSize]byte)
	defer r.buffers.Put(buf)
	s, err := h.stat(buf[:])
	if err != nil {
		return nil, 0, fmt.Errorf("process %d: %w", pid, err)
	}
	if s.left {
		thread, ok := h.thread()
		if !ok {
			return nil, s.startTick, fmt.Errorf("process %d: %w", pid, ErrGone)
		}
		defer thread.close()
		h = thread
	}
	f, err := h.file("mem")
	if err != nil {
		return nil, s.startTick, fmt.Errorf("process %d: mem: %w", pid, hint(err))
	}
	return os.NewFile(uintptr(f), "mem"), s.startTick, nil
}
