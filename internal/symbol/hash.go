// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/elffile"
)

// hashPage is how much of a file's head and tail the hash covers.
const hashPage = 4096

// htlHash is the first half of SHA256(head ‖ tail ‖ length), in hex. In a file
// shorter than two pages head and tail overlap, see
// https://opentelemetry.io/docs/specs/semconv/registry/attributes/process/.
func htlHash(r io.ReaderAt, size int64) (string, error) {
	n := min(size, hashPage)
	buf := make([]byte, 2*n+8)
	if err := elffile.ReadFull(r, buf[:n], 0); err != nil {
		return "", err
	}
	if err := elffile.ReadFull(r, buf[n:2*n], size-n); err != nil {
		return "", err
	}
	binary.BigEndian.PutUint64(buf[2*n:], uint64(size))
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:16]), nil
}
