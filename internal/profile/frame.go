// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"encoding/binary"
	"slices"
)

// BinaryID names one piece of executable code within the profiler: a mapped
// file, the kernel, a module, anonymous memory. The caller assigns it.
type BinaryID uint32

// Frame is a place in a binary. For a mapped file Offset is the file offset of
// the instruction, else its address.
type Frame struct {
	Binary BinaryID
	Offset uint64
}

// frameSize is the length of one frame in a stackKey.
const frameSize = 4 + 8

// makeStackKey encodes a stack so that equal stacks, and only those, have
// equal keys: a map with such keys compares whole stacks. It reuses key.
func makeStackKey(key []byte, stack []Frame) []byte {
	key = slices.Grow(key[:0], len(stack)*frameSize)[:len(stack)*frameSize]
	rest := key
	for _, f := range stack {
		binary.LittleEndian.PutUint32(rest, uint32(f.Binary))
		binary.LittleEndian.PutUint64(rest[4:], f.Offset)
		rest = rest[frameSize:]
	}
	return key
}

// stackKeyFrames is the inverse of makeStackKey. It reuses stack.
func stackKeyFrames(stack []Frame, key string) []Frame {
	stack = stack[:0]
	for ; len(key) >= frameSize; key = key[frameSize:] {
		stack = append(stack, Frame{
			Binary: BinaryID(binary.LittleEndian.Uint32([]byte(key[:4]))),
			Offset: binary.LittleEndian.Uint64([]byte(key[4:frameSize])),
		})
	}
	return stack
}
