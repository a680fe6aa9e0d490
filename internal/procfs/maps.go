// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package procfs

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

const (
	// maxMappings bounds the executable mappings kept per process. Large Java
	// and browser processes have some thousand.
	maxMappings = 16384
	// maxMapsBytes bounds what is read of a maps file: more than the default
	// vm.max_map_count (65530) can fill with ordinary paths.
	maxMapsBytes = 64 << 20
	// bufSize holds several of the longest lines of maps, or a cgroup file.
	bufSize = 64 << 10
)

var errMaps = errors.New("maps is not understood")

// mapLine is a line of /proc/PID/maps. Its bytes are valid as long as take of eachMapping
// has it.
type mapLine struct {
	start, end, offset, inode uint64
	executable                bool
	device, name              []byte
}

// parseMapLine reads a line "start-end perms offset major:minor inode name" without its end
// (fs/proc/task_mmu.c, show_map_vma, v6.12).
func parseMapLine(b []byte) (m mapLine, err error) {
	var fields [5][]byte
	for i := range fields {
		fields[i], b, _ = bytes.Cut(b, []byte(" "))
	}
	start, end, _ := bytes.Cut(fields[0], []byte("-"))
	perms := fields[1]
	m.device, m.name = fields[3], bytes.TrimLeft(b, " ")
	for _, number := range []struct {
		text []byte
		base int
		to   *uint64
	}{{start, 16, &m.start}, {end, 16, &m.end}, {fields[2], 16, &m.offset}, {fields[4], 10, &m.inode}} {
		if *number.to, err = strconv.ParseUint(string(number.text), number.base, 64); err != nil {
			return m, errMaps
		}
	}
	if m.end < m.start || len(perms) != 4 || len(m.device) == 0 {
		return m, errMaps
	}
	m.executable = perms[2] == 'x'
	return m, nil
}

// mappedPath undoes what the kernel does to a path: it appends " (deleted)" when
// the file has no name any more (fs/d_path.c, v6.12) and writes a newline as \012
// (fs/seq_file.c, mangle_path, with "\n" as the characters to escape). Neither is
// unambiguous; who opens the path compares the file.
func mappedPath(b []byte) string {
	b = bytes.TrimSuffix(b, []byte(" (deleted)"))
	if bytes.Contains(b, []byte("\\012")) {
		b = bytes.ReplaceAll(b, []byte("\\012"), []byte("\n"))
	}
	return string(b)
}

// harmless reports whether no file system of others stands behind the mapping: it is
// anonymous or of the device of memfd_create. (FUSE may show any number of an inode.)
func (m *mapLine) harmless(memfd string) bool {
	return string(m.device) == "00:00" || string(m.device) == memfd
}

// isContext reports whether the mapping is named like a process context, with memfd_create
// or PR_SET_VMA_ANON_NAME (fs/proc/task_mmu.c, get_vma_name, v6.12). Files may have any
// name, too.
func (m *mapLine) isContext(memfd string) bool {
	switch string(bytes.TrimSuffix(m.name, []byte(" (deleted)"))) {
	case "[anon:OTEL_CTX]", "[anon_shmem:OTEL_CTX]", "/memfd:OTEL_CTX":
		return m.harmless(memfd)
	}
	return false
}

// executable is an executable mapping.
type executable struct {
	start, end, offset, inode uint64
	path                      string
}

// readMaps reads a maps file. It keeps up to limit executable mappings and counts the
// others.
func readMaps(r io.Reader, buf []byte, limit int) (kept []executable, truncated int, err error) {
	cut, err := eachMapping(r, buf, func(m mapLine) bool {
		switch {
		case !m.executable:
		case len(kept) < limit:
			kept = append(kept, executable{m.start, m.end, m.offset, m.inode, mappedPath(m.name)})
		default:
			truncated++
		}
		return true
	})
	if cut {
		truncated++ // at least one
	}
	return kept, truncated, err
}

// eachMapping reads a maps file, as long as take wants more, through buf, which holds the
// longest possible line. cut: it is longer than what is read.
func eachMapping(r io.Reader, buf []byte, take func(mapLine) (more bool)) (cut bool, err error) {
	filled, total := 0, 0
	for {
		n, rerr := r.Read(buf[filled:])
		filled, total = filled+n, total+n
		used := 0
		for {
			end := bytes.IndexByte(buf[used:filled], '\n')
			if end < 0 {
				break
			}
			m, err := parseMapLine(buf[used : used+end])
			if err != nil || !take(m) {
				return false, err
			}
			used += end + 1
		}
		filled = copy(buf, buf[used:filled])
		switch {
		case rerr == io.EOF && filled == 0:
			return false, nil
		case rerr == io.EOF || filled == len(buf):
			return false, errMaps // an unfinished line, or one too long
		case rerr != nil:
			return false, rerr
		case total >= maxMapsBytes:
			return true, nil
		}
	}
}
