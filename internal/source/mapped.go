// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"bytes"
	"encoding/hex"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Offsets in PERF_RECORD_MMAP2 with the time as sample ID
// (include/uapi/linux/perf_event.h, v6.12).
const (
	mmapPID        = 8
	mmapAddress    = 16
	mmapLength     = 24
	mmapOffset     = 32
	mmapMajor      = 40
	mmapMinor      = 44
	mmapInode      = 48
	mmapGeneration = 56
	mmapIDSize     = 40
	mmapID         = 44
	mmapName       = 72
	mmapTime       = 8 // before the end

	maxBuildID = 20
)

// names keeps one copy of each string that many records have.
type names map[string]string

// maxNames bounds the strings that are kept, maxNameSize their length.
const (
	maxNames    = 4096
	maxNameSize = 256
)

func (n *names) intern(b []byte) string {
	if s, ok := (*n)[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(s) > maxNameSize {
		return s
	}
	if len(*n) >= maxNames || *n == nil {
		*n = names{}
	}
	(*n)[s] = s
	return s
}

// decodeMapped appends a record of executable memory to the batch; others are of
// no interest. It returns false for a record that is damaged.
func decodeMapped(record []byte, names *names, batch *event.Batch) bool {
	if host.Uint32(record) != unix.PERF_RECORD_MMAP2 {
		return true
	}
	if len(record) < mmapName+mmapTime {
		return false
	}
	name, end := record[mmapName:len(record)-mmapTime], record[len(record)-mmapTime:]
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	start := host.Uint64(record[mmapAddress:])
	m := event.Mapped{
		KTime: event.KTime(host.Uint64(end)),
		PID:   host.Uint32(record[mmapPID:]),
		Mapping: event.Mapping{
			Start:  start,
			End:    start + host.Uint64(record[mmapLength:]),
			Offset: host.Uint64(record[mmapOffset:]),
			Path:   mappedPath(names.intern(name)),
		},
	}
	if m.End < start {
		return false
	}
	if host.Uint16(record[4:])&unix.PERF_RECORD_MISC_MMAP_BUILD_ID != 0 {
		var id [2 * maxBuildID]byte
		n := hex.Encode(id[:], record[mmapID:mmapID+min(int(record[mmapIDSize]), maxBuildID)])
		m.BuildID = names.intern(id[:n])
	} else if inode := host.Uint64(record[mmapInode:]); inode != 0 {
		m.File = event.File{
			Device:     unix.Mkdev(host.Uint32(record[mmapMajor:]), host.Uint32(record[mmapMinor:])),
			Inode:      inode,
			Generation: host.Uint64(record[mmapGeneration:]),
		}
	}
	batch.Mapped = append(batch.Mapped, m)
	return true
}

// mappedPath is the path as /proc would show it: of a file that was deleted it is
// the former one, of memory without a file or whose path is too long it is empty
// (perf_event_mmap_event in kernel/events/core.c, v6.12).
func mappedPath(name string) string {
	if strings.HasPrefix(name, "//") {
		return ""
	}
	return strings.TrimSuffix(name, " (deleted)")
}
