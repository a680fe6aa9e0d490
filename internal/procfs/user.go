// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// User returns the number of a user of the host, by its passwd file.
func (r *Reader) User(name string) (uint32, error) {
	path := filepath.Join(r.root, "etc/passwd")
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	id, ok := findUser(f, name)
	if !ok {
		return 0, fmt.Errorf("%s has no user %q", path, name)
	}
	return id, nil
}

// findUser looks a name up in what passwd(5) describes: name:password:number:...
func findUser(passwd io.Reader, name string) (uint32, bool) {
	for s := bufio.NewScanner(passwd); s.Scan(); {
		fields := strings.SplitN(s.Text(), ":", 4)
		if len(fields) < 4 || fields[0] != name {
			continue
		}
		id, err := strconv.ParseUint(fields[2], 10, 32)
		return uint32(id), err == nil
	}
	return 0, false
}
