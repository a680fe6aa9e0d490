// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package gosymbol

import (
	"bytes"
	"fmt"
	"io"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// windowSize is how much of a part is in memory at least, once it has been read from.
const windowSize = 16 << 10

// window is a part of a file, a piece of which is in memory.
type window struct {
	r          io.ReaderAt
	from, size uint64
	// piece is what is at in the part.
	piece []byte
	at    uint64
}

// view returns the n bytes at off, which are valid until the next call.
func (w *window) view(off, n uint64) ([]byte, error) {
	if off > w.size || n > w.size-off {
		return nil, fmt.Errorf("%w: %d bytes at %d of %d", ErrDamaged, n, off, w.size)
	}
	if off < w.at || off+n > w.at+uint64(len(w.piece)) {
		size := min(max(n, windowSize), w.size-off)
		if uint64(cap(w.piece)) < size {
			w.piece = make([]byte, size)
		}
		w.at, w.piece = off, w.piece[:size]
		if err := elffile.ReadFull(w.r, w.piece, int64(w.from+off)); err != nil {
			w.piece = nil
			return nil, fmt.Errorf("read line table: %w", err)
		}
	}
	return w.piece[off-w.at:][:n], nil
}

// rest returns what follows off, at most n bytes.
func (w *window) rest(off, n uint64) ([]byte, error) {
	return w.view(off, min(n, w.size-min(off, w.size)))
}

// text returns the string at off, without its zero byte.
func (w *window) text(off uint64) ([]byte, error) {
	for n := uint64(256); ; n *= 8 {
		b, err := w.rest(off, min(n, maxName))
		if err != nil {
			return nil, err
		}
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return b[:i], nil
		}
		if n >= maxName || uint64(len(b)) < n {
			return b, nil
		}
	}
}
