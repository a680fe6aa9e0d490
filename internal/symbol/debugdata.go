// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ulikunitz/xz/lzma"
)

// maxDebugData bounds .gnu_debugdata, packed and unpacked. That of a large library has
// a few hundred KiB.
const maxDebugData = 32 << 20

// readDebugData reads the symbols of MiniDebugInfo, a packed ELF file that holds the
// functions that .dynsym does not
// (https://sourceware.org/gdb/current/onlinedocs/gdb.html/MiniDebugInfo.html).
func (fs *functions) readDebugData(img source) error {
	found, err := img.Named(img.sections, ".gnu_debugdata")
	if err != nil {
		return err
	}
	packed, err := img.Content(".gnu_debugdata", found[0], maxDebugData)
	if err != nil || len(packed) == 0 {
		return err
	}
	data, err := unpack(packed)
	if err != nil {
		return fmt.Errorf("%w: .gnu_debugdata: %w", ErrDamaged, err)
	}
	symbols, err := openSource(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf(".gnu_debugdata: %w", err)
	}
	return fs.readTables(symbols)
}

var errXZ = errors.New("not an xz stream of one block and one LZMA2 filter")

// unpack decompresses an xz stream as far as maxDebugData allows.
//
// The container is read here, because a reader of it reserves as much memory as a
// header asks for, up to 4 GiB. Its checksum is left out: what is wrong inside shows.
// See https://tukaani.org/xz/xz-file-format.txt, 2.1.1 and 3.1.
func unpack(b []byte) ([]byte, error) {
	const (
		magic        = "\xfd7zXZ\x00"
		streamHeader = 12
		lzma2        = 0x21
		sizes        = 0xc0 // of the block, before the filter
	)
	if len(b) < streamHeader+2 || string(b[:len(magic)]) != magic {
		return nil, errXZ
	}
	b = b[streamHeader:]
	size, flags := 4*(int(b[0])+1), b[1]
	if b[0] == 0 || size > len(b) || flags&^sizes != 0 {
		return nil, errXZ
	}
	header, rest := b[2:size], b[size:]
	for f := flags & sizes; f != 0; f &= f - 1 {
		n := slices.IndexFunc(header, func(b byte) bool { return b < 0x80 }) // the last byte of a number
		if n < 0 {
			return nil, errXZ
		}
		header = header[n+1:]
	}
	if len(header) < 3 || header[0] != lzma2 || header[1] != 1 {
		return nil, errXZ
	}
	dictionary, err := lzma.DecodeDictCap(header[2])
	if err != nil {
		return nil, err
	}
	config := lzma.Reader2Config{DictCap: int(min(max(dictionary, lzma.MinDictCap), maxDebugData))}
	r, err := config.NewReader2(bytes.NewReader(rest))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxDebugData+1))
	if err == nil && len(data) > maxDebugData {
		err = ErrTooLarge
	}
	return data, err
}
