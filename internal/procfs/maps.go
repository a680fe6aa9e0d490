// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package procfs

import (
	"bytes"
	"errors"
	"io"
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

// mapLine is an executable mapping as a line of /proc/PID/maps has it.
type mapLine struct {
	start, end, offset, inode uint64
	path                      string
}

// parseMapLine reads a line "start-end perms offset major:minor inode path"
// (fs/proc/task_mmu.c, show_map_vma, v6.12) without its end. Lines of mappings
// that are not executable are not kept, which is most of them.
func parseMapLine(b []byte) (m mapLine, keep bool, err error) {
	var n int
	if m.start, n = parseHex(b); n == 0 || n == len(b) || b[n] != '-' {
		return m, false, errMaps
	}
	b = b[n+1:]
	if m.end, n = parseHex(b); n == 0 || len(b) < n+6 || b[n] != ' ' || b[n+5] != ' ' || m.end < m.start {
		return m, false, errMaps
	}
	if b[n+3] != 'x' {
		return m, false, nil
	}
	b = b[n+6:]
	if m.offset, n = parseHex(b); n == 0 || n == len(b) || b[n] != ' ' {
		return m, false, errMaps
	}
	_, b, ok := bytes.Cut(b[n+1:], []byte(" ")) // the device, which no stat need agree with
	if !ok {
		return m, false, errMaps
	}
	if m.inode, n = parseDecimal(b); n == 0 {
		return m, false, errMaps
	}
	m.path = mappedPath(bytes.TrimLeft(b[n:], " "))
	return m, true, nil
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

// mapRange is a mapping of any kind, as far as process contexts are concerned. The bytes
// are valid as long as the line.
type mapRange struct {
	start, end uint64
	device     []byte
	anonymous  bool
	name       []byte
}

func parseMapRange(b []byte) (r mapRange, err error) {
	var n int
	if r.start, n = parseHex(b); n == 0 || n == len(b) || b[n] != '-' {
		return r, errMaps
	}
	b = b[n+1:]
	r.end, _ = parseHex(b)
	fields := bytes.SplitN(b, []byte(" "), 6) // end perms offset device inode name
	if len(fields) < 5 || r.end < r.start {
		return r, errMaps
	}
	r.device, r.anonymous = fields[3], string(fields[4]) == "0"
	if len(fields) == 6 {
		r.name = bytes.TrimLeft(fields[5], " ")
	}
	return r, nil
}

// harmless reports whether no file system of others stands behind the mapping: it is
// anonymous or of the device of memfd_create.
func (r *mapRange) harmless(memfd string) bool { return r.anonymous || string(r.device) == memfd }

// isContext reports whether the mapping is named like a process context, with memfd_create
// or PR_SET_VMA_ANON_NAME (fs/proc/task_mmu.c, get_vma_name, v6.12). Files may have any
// name, too.
func (r *mapRange) isContext(memfd string) bool {
	switch string(bytes.TrimSuffix(r.name, []byte(" (deleted)"))) {
	case "[anon:OTEL_CTX]", "[anon_shmem:OTEL_CTX]", "/memfd:OTEL_CTX":
		return r.harmless(memfd)
	}
	return false
}

// readMaps reads a maps file. It keeps up to limit executable mappings and counts the
// others.
func readMaps(r io.Reader, buf []byte, limit int) (lines []mapLine, truncated int, err error) {
	more, err := eachLine(r, buf, func(line []byte) error {
		m, keep, err := parseMapLine(line)
		switch {
		case err != nil:
			return err
		case keep && len(lines) < limit:
			lines = append(lines, m)
		case keep:
			truncated++
		}
		return nil
	})
	if more {
		truncated++ // at least one
	}
	return lines, truncated, err
}

// eachLine reads a maps file through buf, which holds several of the longest possible
// lines. more: it is longer than what is read.
func eachLine(r io.Reader, buf []byte, take func(line []byte) error) (more bool, err error) {
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
			if err := take(buf[used : used+end]); err != nil {
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

func parseHex(b []byte) (v uint64, n int) {
	for n < len(b) && n < 16 {
		c := b[n]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return v, n
		}
		v = v<<4 | uint64(c)
		n++
	}
	return v, n
}

// parseDecimal reads digits, none if the number does not fit.
func parseDecimal(b []byte) (v uint64, n int) {
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		d := uint64(b[n] - '0')
		if v > (1<<64-1-d)/10 {
			return 0, 0
		}
		v = v*10 + d
		n++
	}
	return v, n
}
