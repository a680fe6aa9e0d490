// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// Memory is that of the program which a process runs when it is opened, whatever it runs
// later (fs/proc/base.c, proc_mem_open, v6.12).
//
// Faults of a read do not wait for who handles them in user space: __access_remote_vm has no
// lock to give up, so faultin_page allows no retry (mm/gup.c), and handle_userfault fails
// (fs/userfaultfd.c, v6.12). But they wait for the file system of a page as long as that
// pleases.
type Memory struct{ content, pages file }

// OpenMemory opens the memory of a process. It also returns the process's start in ticks of
// 10 ms. The error is ErrGone, wrapped, when the process is no more.
func (r *Reader) OpenMemory(pid uint32) (m Memory, startTick uint64, err error) {
	startTick, err = r.look(pid, func(h handle, s stat, _ []byte) (err error) {
		if s.left {
			return ErrGone
		}
		m, err = h.memory()
		return err
	})
	return m, startTick, err
}

func (h handle) memory() (m Memory, err error) {
	if m.content, err = h.file("mem"); err != nil {
		return m, fmt.Errorf("mem: %w", hint(err))
	}
	if m.pages, err = h.file("pagemap"); err != nil {
		m.content.close()
		return m, fmt.Errorf("pagemap: %w", hint(err))
	}
	return m, nil
}

// Close gives the memory back.
func (m Memory) Close() {
	m.content.close()
	m.pages.close()
}

var errNotAnonymous = errors.New("memory that is not the process's alone is not read")

// Read reads all of b at an address, if its pages are anonymous.
func (m Memory) Read(b []byte, at uint64) error {
	ok, err := m.anonymous(at, uint64(len(b)))
	if err != nil {
		return err
	}
	if !ok {
		return errNotAnonymous
	}
	_, err = m.content.ReadAt(b, int64(at))
	return err
}

// Entries of pagemap (Documentation/admin-guide/mm/pagemap.rst, v6.12).
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageOfFile  = 1 << 61
	// pageMarked: write-protected through userfaultfd. Where there is no page such a mark
	// looks like a swapped one, of files too (pte_to_pagemap_entry, fs/proc/task_mmu.c, v6.12).
	pageMarked = 1 << 57
)

// anonymous reports whether all pages of a range are anonymous, present or swapped out, so
// that no file system is asked for them.
//
// Until they are read the process may map something else there, and no read of another's
// memory promises not to wait. So who reads has to bear that it never returns.
func (m Memory) anonymous(at, size uint64) (bool, error) {
	if size == 0 || at+size < at {
		return size == 0, nil
	}
	page := uint64(os.Getpagesize())
	first, last := at/page, (at+size-1)/page
	entries := make([]byte, 8*(last-first+1))
	if _, err := m.pages.ReadAt(entries, int64(8*first)); err != nil {
		return false, fmt.Errorf("pagemap: %w", err) // it ends with the addresses, and with the process
	}
	for ; len(entries) > 0; entries = entries[8:] {
		if !isAnonymous(binary.NativeEndian.Uint64(entries)) {
			return false, nil
		}
	}
	return true, nil
}

// isAnonymous reports whether an entry is of an anonymous page, present or swapped out.
func isAnonymous(entry uint64) bool {
	return entry&(pagePresent|pageSwapped) != 0 && entry&(pageOfFile|pageMarked) == 0
}
