// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/symbol"
)

// maxVDSO bounds the kernel's code in processes, which has two pages.
const maxVDSO = 1 << 20

// vdso reads the kernel's code in processes out of this one: it is in no file, and the
// same for all 64-bit processes.
func (r procReader) vdso() (*symbol.File, error) {
	if !r.names.Kernel {
		return nil, nil
	}
	image, err := vdsoImage()
	if err != nil {
		return nil, fmt.Errorf("names of the vDSO are left out: %w", err)
	}
	return symbol.Read(bytes.NewReader(image), int64(len(image)), symbol.Options{Native: true})
}

func vdsoImage() ([]byte, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(line, " [vdso]\n") {
			continue
		}
		var start, end int64
		if _, err := fmt.Sscanf(line, "%x-%x ", &start, &end); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		if end-start > maxVDSO {
			return nil, fmt.Errorf("it has %d bytes", end-start)
		}
		memory, err := os.Open("/proc/self/mem")
		if err != nil {
			return nil, err
		}
		defer memory.Close()
		return io.ReadAll(io.NewSectionReader(memory, start, end-start))
	}
	return nil, errors.New("this process has none")
}
