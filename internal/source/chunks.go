// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// chunk is a map of one element, and its memory. Its number may be taken although there
// is no map yet, or none any more.
type chunk struct {
	*ebpf.Map
	bytes []byte
	taken bool
}

// reserve takes the number of a chunk to come, of at most so many.
func (t *tables) reserve(most int) (uint32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return 0, errClosed
	case t.takenChunks() >= most:
		return 0, ErrTablesFull
	}
	i := slices.IndexFunc(t.memory, func(c chunk) bool { return !c.taken })
	if i < 0 {
		i = len(t.memory)
		t.memory = append(t.memory, chunk{})
	}
	t.memory[i].taken = true
	return uint32(i), nil
}

func (t *tables) takenChunks() (n int) {
	for _, c := range t.memory {
		if c.taken {
			n++
		}
	}
	return n
}

// grow adds a chunk and returns its number. It waits for a grace period.
func (t *tables) grow(most int) (index uint32, err error) {
	if index, err = t.reserve(most); err != nil {
		return 0, err
	}
	made, err := t.makeChunk(index)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.memory[index] = made
	return index, err
}

// makeChunk hands a new chunk to the sampler. On error it is none.
func (t *tables) makeChunk(index uint32) (chunk, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "chunk", Type: ebpf.Array, KeySize: 4, ValueSize: chunkSize, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE,
	})
	if err != nil {
		return chunk{}, explain(fmt.Errorf("make room for unwind tables: %w", err))
	}
	bytes, err := unix.Mmap(m.FD(), 0, chunkSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return chunk{}, errors.Join(fmt.Errorf("map unwind tables: %w", err), m.Close())
	}
	if err := t.chunks.Put(index, m); err != nil {
		return chunk{}, errors.Join(fmt.Errorf("hand over unwind tables: %w", err), unix.Munmap(bytes), m.Close())
	}
	return chunk{m, bytes, true}, nil
}

// shrink gives a chunk back that holds nothing. It waits for a grace period.
func (t *tables) shrink(index uint32) {
	err := t.chunks.Delete(index)
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.memory[index]
	switch {
	case t.closed:
	case err != nil: // the sampler still finds it: it may hold rows again
		t.free.put(span{index, 0, chunkRows})
	default:
		t.memory[index] = chunk{}
		_, _ = unix.Munmap(c.bytes), c.Close() // both are valid
	}
}

// at returns n bytes of a chunk.
func (t *tables) at(chunk uint32, from, n int) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.memory[chunk].bytes[from : from+n]
}

// bytes is the memory of all chunks.
func (t *tables) bytes() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return uint64(t.takenChunks()) * chunkSize
}
