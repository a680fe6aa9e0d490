// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strings"
)

const (
	// maxLink bounds .gnu_debuglink, a file name and a checksum.
	maxLink = 4096
	// maxSummed bounds the files whose checksum is computed.
	maxSummed = 1 << 30
)

// Separate names the file that holds what was stripped from an executable file.
type Separate struct {
	// BuildID is the linker's, which both have, as lower-case hex; empty if none.
	BuildID string
	// Link is the file's base name, CRC its checksum, as .gnu_debuglink tells; Link
	// is empty if that is not there.
	Link string
	CRC  uint32
}

// Finder opens a separate debug file of size bytes; r is nil if there is none.
type Finder func(Separate) (r io.ReaderAt, size int64)

// Paths returns where the file may be: by build ID and by name below the debug
// directories, and beside the executable file, whose path is given
// (https://sourceware.org/gdb/current/onlinedocs/gdb.html/Separate-Debug-Files.html).
func (s Separate) Paths(directories []string, executable string) (out []string) {
	if len(s.BuildID) > 2 {
		for _, d := range directories {
			out = append(out, path.Join(d, ".build-id", s.BuildID[:2], s.BuildID[2:]+".debug"))
		}
	}
	beside := path.Dir(executable)
	if s.Link == "" || !path.IsAbs(executable) {
		return out
	}
	for _, d := range directories {
		out = append(out, path.Join(d, beside, s.Link))
	}
	out = append(out, path.Join(beside, ".debug", s.Link))
	if name := path.Join(beside, s.Link); name != executable {
		out = append(out, name)
	}
	return out
}

// Is says whether the file of size bytes behind r is the one: the build ID has to be
// the same, and without one the checksum, which is asked of sum.
func (s Separate) Is(r io.ReaderAt, size int64, sum func(r io.ReaderAt, size int64) (uint32, error)) bool {
	if s.BuildID != "" {
		return ReadBuildID(r, size) == s.BuildID
	}
	if s.Link == "" {
		return false
	}
	crc, err := sum(r, size)
	return err == nil && crc == s.CRC
}

// Checksum is that of a debug link, for which the whole file of size bytes behind r is read.
func Checksum(r io.ReaderAt, size int64) (uint32, error) {
	if size > maxSummed {
		return 0, fmt.Errorf("%w: %d bytes, at most %d are summed up", ErrTooLarge, size, maxSummed)
	}
	sum := crc32.NewIEEE()
	n, err := io.Copy(sum, io.NewSectionReader(r, 0, size))
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	return sum.Sum32(), err
}

// separate says which file holds what was stripped from img.
func separate(img source, buildID string) Separate {
	out := Separate{}
	if _, err := hex.DecodeString(buildID); err == nil {
		out.BuildID = buildID
	}
	found, err := img.Named(img.sections, ".gnu_debuglink")
	if err != nil {
		return out
	}
	b, err := img.Content(".gnu_debuglink", found[0], maxLink)
	if err != nil {
		return out
	}
	if name, crc, ok := parseLink(b); ok {
		out.Link, out.CRC = name, crc
	}
	return out
}

// parseLink reads .gnu_debuglink: a name, a zero byte, padding to four bytes, a checksum.
// A name that leads to another directory is none.
func parseLink(b []byte) (name string, crc uint32, ok bool) {
	end := bytes.IndexByte(b, 0)
	at := (end + 4) &^ 3
	if end <= 0 || at+4 > len(b) {
		return "", 0, false
	}
	name = string(b[:end])
	if strings.Contains(name, "/") || name == "." || name == ".." {
		return "", 0, false
	}
	return name, binary.LittleEndian.Uint32(b[at:]), true
}
