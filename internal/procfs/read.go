// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/service"
)

// Read reads what /proc shows of a process. The error is ErrGone, wrapped, when
// it is no more. With another error, such as for lack of capabilities, Process
// holds what could be read.
func (r *Reader) Read(pid uint32) (p Process, err error) {
	p.From = now()
	p.StartTick, err = r.look(pid, func(h handle, s stat, buf []byte) error {
		p.ParentPID = s.parent
		return p.read(h, s, r.given, buf)
	})
	p.To = now()
	if errors.Is(err, ErrGone) {
		return Process{}, err
	}
	return p, err
}

// now reads the clock of all events.
func now() event.KTime {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // cannot be: the clock and the pointer are valid
	}
	return event.KTime(t.Nano())
}

func (p *Process) read(h handle, s stat, given Given, buf []byte) error {
	err := p.readCgroup(h, buf)
	if s.left {
		return err // a zombie
	}
	return errors.Join(err, p.readExecutable(h, buf), p.readArgs(h, given),
		p.readEnvironment(h, given), p.readMappings(h, buf))
}

func (h handle) stat(buf []byte) (stat, error) {
	b, err := h.head("stat", buf)
	if err != nil {
		return stat{}, fmt.Errorf("stat: %w", err)
	}
	return parseStat(b)
}

func (p *Process) readCgroup(h handle, buf []byte) error {
	b, err := h.head("cgroup", buf)
	if err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	p.ContainerID, p.Cgroup = parseCgroup(b), unified(b)
	return nil
}

// readExecutable reads the link to the program, which kernel threads and zombies
// do not have (fs/proc/base.c, proc_exe_link, v6.12).
func (p *Process) readExecutable(h handle, buf []byte) error {
	n, err := unix.Readlinkat(int(h), "exe", buf)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("exe: %w", hint(gone(err)))
	}
	p.Executable = strings.TrimSuffix(string(buf[:n]), " (deleted)")
	return nil
}

func (p *Process) readArgs(h handle, given Given) error {
	if !given.CommandArgs {
		return nil
	}
	b, err := h.given("cmdline", maxArgsBytes+1)
	p.CommandArgs = parseArgs(b)
	return err
}

func (p *Process) readEnvironment(h handle, given Given) error {
	if len(given.Variables) == 0 && !given.Service {
		return nil
	}
	b, err := h.given("environ", maxEnvironBytes)
	p.Environment, _ = findVariables(b, given.Variables)
	if given.Service {
		found, left := findVariables(b, service.Variables)
		said, malformed := service.FromVariables(found)
		p.Service, p.Malformed = said, malformed+left
	}
	return err
}

// given reads up to n bytes of a file that shows memory of the process. Its pages are
// faulted in, but none that is waited for: only anonymous ones (FOLL_ANON, environ_read and
// get_mm_cmdline, fs/proc/base.c, v5.10 to v6.18), and not through userfaultfd, see Memory.
// What is missing ends the file.
func (h handle) given(name string, n int64) ([]byte, error) {
	f, err := h.file(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, hint(err))
	}
	defer f.close()
	b, err := io.ReadAll(io.LimitReader(f, n))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, hint(err))
	}
	return b, nil
}

func (p *Process) readMappings(h handle, buf []byte) error {
	f, err := h.file("maps")
	if err != nil {
		return fmt.Errorf("maps: %w", hint(err))
	}
	defer f.close()
	lines, truncated, err := readMaps(f, buf, maxMappings)
	if err != nil {
		return fmt.Errorf("maps: %w", hint(err))
	}
	p.Truncated = truncated
	p.Mappings = make([]event.Mapping, len(lines))
	for i, l := range lines {
		p.Mappings[i] = event.Mapping{Start: l.start, End: l.end, Offset: l.offset, Path: l.path}
		switch {
		case l.inode == 0: // anonymous memory, [vdso]
		case i > 0 && lines[i-1].inode == l.inode && lines[i-1].path == l.path:
			p.Mappings[i].File = p.Mappings[i-1].File
		default:
			p.Mappings[i].File = h.key(p.Mappings[i], l.inode)
		}
	}
	return nil
}

// key identifies the file of a mapping, through the mapping itself if we may
// (CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN), else through its path, which may by
// now lead to another file. No key means the file cannot be reached.
func (h handle) key(m event.Mapping, inode uint64) event.File {
	if key, err := keyOf(int(h), mapFile(m)); err == nil {
		return key
	}
	root, err := h.root()
	if err != nil {
		return event.File{}
	}
	defer unix.Close(root)
	fd, err := openByPath(root, m.Path)
	if err != nil {
		return event.File{}
	}
	defer unix.Close(fd)
	key, err := keyOf(fd, "")
	if err != nil || key.Inode != inode {
		return event.File{}
	}
	return key
}

// hint adds the cure to an error that has one.
func hint(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w (reading other users' processes needs CAP_SYS_PTRACE)", err)
	}
	return err
}
