// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxModules bounds what is read of their list. Hosts have some hundred, of 80 bytes each.
const maxModules = 1 << 20

// Modules tells one set of loaded modules from another: by their names and addresses, none if
// the kernel has no modules.
func (r *Reader) Modules() (uint64, error) {
	fd, err := openat(r.proc, "modules", unix.O_RDONLY)
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	} else if err != nil {
		return 0, fmt.Errorf("open modules: %w", err)
	}
	f := os.NewFile(uintptr(fd), "modules")
	defer f.Close()
	list, err := io.ReadAll(io.LimitReader(f, maxModules))
	if err != nil {
		return 0, fmt.Errorf("read modules: %w", err)
	}
	return sumModules(list), nil
}

// sumModules makes a number of lines such as "xfs 1 2 crc,zlib, Live 0xffffffffc0000000", of
// which who uses a module does not matter (m_show in kernel/module/procfs.c, v6.12).
func sumModules(list []byte) uint64 {
	sum := fnv.New64a()
	for line := range bytes.Lines(list) {
		fields := bytes.Fields(line)
		if len(fields) < 6 {
			continue
		}
		for _, f := range [][]byte{fields[0], fields[1], fields[5]} {
			sum.Write(f)
			sum.Write([]byte{' '})
		}
	}
	return sum.Sum64()
}
