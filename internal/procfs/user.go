// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// User returns the number of a user of the host, by its passwd file.
func (r *Reader) User(name string) (uint32, error) {
	path := filepath.Join(r.root, "etc/passwd")
	f, err := r.openBelow(r.host, event.Mapping{Path: "/etc/passwd"}, nil)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	id, found, err := findUser(f, name)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: %w", path, err)
	case !found:
		return 0, fmt.Errorf("%s has no user %q", path, name)
	}
	return id, nil
}

// findUser looks a name up in what passwd(5) describes: name:password:number:...
func findUser(passwd io.Reader, name string) (id uint32, found bool, err error) {
	s := bufio.NewScanner(passwd)
	for s.Scan() {
		fields := strings.SplitN(s.Text(), ":", 4)
		if len(fields) < 4 || fields[0] != name {
			continue
		}
		id, err := strconv.ParseUint(fields[2], 10, 32)
		return uint32(id), err == nil, nil
	}
	return 0, false, s.Err()
}
