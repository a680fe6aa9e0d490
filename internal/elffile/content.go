// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package elffile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

const compressionSize = 24 // of Elf64_Chdr

// compression is a way in which sections are compressed.
type compression struct {
	// ratio is how many bytes can become of one. More cannot come out.
	ratio uint64
	open  func(in io.Reader, size uint64) (io.ReadCloser, error)
}

var compressions = map[elf.CompressionType]compression{
	// https://zlib.net/zlib_tech.html
	elf.COMPRESS_ZLIB: {1032, func(in io.Reader, _ uint64) (io.ReadCloser, error) { return zlib.NewReader(in) }},
	// A block of 128 KiB takes four bytes if they are all the same (RFC 8878, 3.1.1.2).
	elf.COMPRESS_ZSTD: {32768, openZstd},
}

const (
	minZstdWindow = 1 << 10
	maxZstdWindow = 128 << 20
)

func openZstd(in io.Reader, size uint64) (io.ReadCloser, error) {
	d, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(max(size, 1)), zstd.WithDecoderMaxWindow(min(max(size, minZstdWindow), maxZstdWindow)))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// Content returns what the section holds, decompressed if need be, at most limit
// bytes. A section that takes no space in the file (SHT_NOBITS) is empty.
func (f *File) Content(what string, s Section, limit uint64) ([]byte, error) {
	if !s.InFile() {
		return nil, nil
	}
	if s.Size > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are read", ErrTooLarge, what, s.Size, limit)
	}
	buf, err := f.Read(what, s.Offset, s.Size)
	if err != nil || !s.Compressed() {
		return buf, err
	}
	return decompress(what, buf, limit)
}

// UnpackedSize returns how many bytes a compressed section says that it holds.
func (f *File) UnpackedSize(what string, s Section) (uint64, error) {
	buf, err := f.Read(what, s.Offset, min(s.Size, compressionSize))
	if err != nil {
		return 0, err
	}
	if len(buf) < compressionSize {
		return 0, fmt.Errorf("%w: %s has no compression header", ErrDamaged, what)
	}
	return binary.LittleEndian.Uint64(buf[8:]), nil
}

// decompress returns the content of a compressed section (gABI chapter 4,
// compression header).
func decompress(what string, buf []byte, limit uint64) ([]byte, error) {
	if len(buf) < compressionSize {
		return nil, fmt.Errorf("%w: %s has no compression header", ErrDamaged, what)
	}
	le := binary.LittleEndian
	kind := elf.CompressionType(le.Uint32(buf))
	c, ok := compressions[kind]
	if !ok {
		return nil, fmt.Errorf("%w: %s, %v", ErrCompression, what, kind)
	}
	size := le.Uint64(buf[8:])
	if size > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are read", ErrTooLarge, what, size, limit)
	}
	if size > c.ratio*uint64(len(buf)) {
		return nil, fmt.Errorf("%w: %s: %d bytes cannot come of %d", ErrDamaged, what, size, len(buf))
	}
	z, err := c.open(bytes.NewReader(buf[compressionSize:]), size)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, what, err)
	}
	defer z.Close()
	out := make([]byte, size)
	if _, err := io.ReadFull(z, out); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, what, err)
	}
	return out, nil
}
