// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package preflight

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// OwnersFiles returns why files that only their owner can read stay closed; nil if they open.
func OwnersFiles() error {
	effective, err := effectiveCapabilities()
	if err != nil {
		return err
	}
	return ownersFilesWith(effective)
}

func ownersFilesWith(effective uint64) error {
	if effective&(1<<unix.CAP_DAC_READ_SEARCH) != 0 {
		return nil
	}
	return errors.New("files that only their owner can read give no names, and short-lived processes no container: grant CAP_DAC_READ_SEARCH")
}

// KernelAddresses returns why functions of the kernel will have no names; nil if they will.
func KernelAddresses() error {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return fmt.Errorf("functions of the kernel have no names: %w", err)
	}
	defer f.Close()
	// Symbols with a fixed address near 0 come first, some tens of kilobytes at most.
	text, err := io.ReadAll(io.LimitReader(f, 1<<18))
	if err != nil {
		return fmt.Errorf("functions of the kernel have no names: %w", err)
	}
	return kernelAddressesIn(string(text))
}

// kernelAddressesIn looks for an address that is not 0, as which the kernel shows those it
// hides (s_show in kernel/kallsyms.c, v6.12).
func kernelAddressesIn(text string) error {
	for line := range strings.Lines(text) {
		address, _, _ := strings.Cut(line, " ")
		if strings.Trim(address, "0") != "" {
			return nil
		}
	}
	return errors.New("kernel addresses are hidden, so functions of the kernel have no names: grant CAP_SYSLOG, with the sysctl kernel.kptr_restrict at most 1")
}
