// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package elffile

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	compressionSize = 24 // of Elf64_Chdr
	// maxRatio is what deflate can make of a byte at most
	// (https://zlib.net/zlib_tech.html). More cannot come out.
	maxRatio = 1032
)

// Content returns what the section holds, decompressed if need be, at most limit
// bytes. A section that takes no space in the file (SHT_NOBITS) is empty.
func (f *File) Content(what string, s Section, limit uint64) ([]byte, error) {
	if s.Type == elf.SHT_NOBITS || s.Type == elf.SHT_NULL {
		return nil, nil
	}
	if s.Size > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are read", ErrTooLarge, what, s.Size, limit)
	}
	buf, err := f.Read(what, s.Offset, s.Size)
	if err != nil || s.Flags&elf.SHF_COMPRESSED == 0 {
		return buf, err
	}
	return decompress(what, buf, limit)
}

// decompress returns the content of a compressed section (gABI chapter 4,
// compression header).
func decompress(what string, buf []byte, limit uint64) ([]byte, error) {
	if len(buf) < compressionSize {
		return nil, fmt.Errorf("%w: %s has no compression header", ErrDamaged, what)
	}
	le := binary.LittleEndian
	if kind := elf.CompressionType(le.Uint32(buf)); kind != elf.COMPRESS_ZLIB {
		return nil, fmt.Errorf("%w: %s, %v", ErrCompression, what, kind)
	}
	size := le.Uint64(buf[8:])
	if size > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are read", ErrTooLarge, what, size, limit)
	}
	if size > maxRatio*uint64(len(buf)) {
		return nil, fmt.Errorf("%w: %s: %d bytes cannot come of %d", ErrDamaged, what, size, len(buf))
	}
	z, err := zlib.NewReader(bytes.NewReader(buf[compressionSize:]))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, what, err)
	}
	out := make([]byte, size)
	if _, err := io.ReadFull(z, out); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, what, err)
	}
	return out, nil
}
