// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/cilium/ebpf"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/bpf"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/threadlocal"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/unwind"
)

// publish makes the sampler use the tables of an image, in place of what it used for
// the process before. If it fails the process is walked by frame pointers.
func (t *tables) publish(s unwind.Space) error {
	t.publishing.Lock()
	defer t.publishing.Unlock()
	before, replaces := t.published[s.Proc.PID]
	l, err := t.list(len(s.Regions)+1, replaces)
	if err == nil {
		t.fill(l, s)
		value := bpf.ProfilerWireSpace{Chunk: l.chunk, First: l.first}
		if err = t.spaces.Put(s.Proc.PID, &value); err != nil {
			t.retire(l)
			err = fmt.Errorf("hand over the memory of a process: %w", err)
		}
	}
	if err != nil {
		if replaces {
			err = errors.Join(err, t.remove(s.Proc.PID, before))
		}
		return err
	}
	if replaces {
		t.retire(before.list)
	}
	t.published[s.Proc.PID] = published{s.Proc, s.Generation, l}
	return nil
}

// fill writes a list.
func (t *tables) fill(l list, s unwind.Space) {
	n := len(s.Regions) + 1
	bytes := t.at(l.chunk, int(l.first)*regionBytes, n*regionBytes)
	out := unsafe.Slice((*bpf.ProfilerWireRegion)(unsafe.Pointer(&bytes[0])), n)
	out[0] = bpf.ProfilerWireRegion{
		Start: uint64(s.Proc.Start), End: uint64(s.Generation), Base: uint64(len(s.Regions)), Rows: contextOf(s.Context),
	}
	for i, r := range s.Regions {
		out[i+1] = bpf.ProfilerWireRegion{
			Start: r.Start, End: r.End, Base: r.Base,
			Rows: uint64(r.Chunk) | uint64(r.First)<<16 | uint64(r.Rows)<<40,
		}
	}
}

// contextOf is a place as bpf/wire.h has it.
func contextOf(p threadlocal.Place) uint64 {
	local := bpf.ProfilerWireLocalLOCAL_GLIBC
	switch {
	case !p.Known():
		return 0
	case p.Static:
		local = bpf.ProfilerWireLocalLOCAL_STATIC
	case p.Musl:
		local = bpf.ProfilerWireLocalLOCAL_MUSL
	}
	return uint64(uint32(p.Offset)) | uint64(p.Module)<<32 | uint64(local)<<48
}

// withdraw ends the use of tables for an image that is over.
func (t *tables) withdraw(s unwind.Space) error {
	t.publishing.Lock()
	defer t.publishing.Unlock()
	p, ok := t.published[s.Proc.PID]
	if !ok || p.proc != s.Proc || p.generation != s.Generation {
		return nil
	}
	return t.remove(s.Proc.PID, p)
}

func (t *tables) remove(pid uint32, p published) error {
	delete(t.published, pid)
	t.retire(p.list)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errClosed
	}
	if err := t.spaces.Delete(pid); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("withdraw the memory of a process: %w", err)
	}
	return nil
}

func (t *tables) retire(l list) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retired.lists = append(t.retired.lists, l)
}

// list returns a list with room for n regions, of a process that has one or not.
func (t *tables) list(n int, has bool) (list, error) {
	log := bits.Len(uint(max(n, minRegions) - 1))
	if t.isClosed() {
		return list{}, errClosed
	}
	if n > maxRegions || !has && len(t.published) >= maxSpaces {
		return list{}, fmt.Errorf("%w: too many processes or mappings", ErrTablesFull)
	}
	if l, ok := t.reuse(log); ok {
		return l, nil
	}
	size := regionBytes << log
	if t.lists.to-t.lists.from < size {
		index, err := t.grow(maxChunks)
		if err != nil {
			return list{}, err
		}
		t.lists = room{chunk: index, to: chunkSize}
	}
	l := list{t.lists.chunk, uint32(t.lists.from / regionBytes), log}
	t.lists.from += size
	return l, nil
}

// reuse returns a spare list with that room, or more.
func (t *tables) reuse(log int) (list, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ; log < len(t.spare) && !t.closed; log++ {
		if n := len(t.spare[log]); n > 0 {
			l := t.spare[log][n-1]
			t.spare[log] = t.spare[log][:n-1]
			return l, true
		}
	}
	return list{}, false
}
