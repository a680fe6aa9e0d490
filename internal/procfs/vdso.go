// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package procfs

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// maxVDSO bounds what is read of it, which are two pages.
const maxVDSO = 1 << 20

// VDSO returns the ELF file that the kernel maps into every process of this program's
// architecture, as this program has it.
func (r *Reader) VDSO() ([]byte, error) {
	self, err := r.Read(uint32(os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("look for the vDSO: %w", err)
	}
	for _, m := range self.Mappings {
		if m.Path == event.VDSO && m.End-m.Start <= maxVDSO {
			return r.memory(m)
		}
	}
	return nil, errors.New("this program has no vDSO")
}

// memory reads what this program has mapped.
func (r *Reader) memory(m event.Mapping) ([]byte, error) {
	fd, err := openat(r.proc, "self/mem", unix.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("open own memory: %w", err)
	}
	mem := file(fd)
	defer mem.close()
	image := make([]byte, m.End-m.Start)
	if _, err := mem.ReadAt(image, int64(m.Start)); err != nil {
		return nil, fmt.Errorf("read %s: %w", m.Path, err)
	}
	return image, nil
}
