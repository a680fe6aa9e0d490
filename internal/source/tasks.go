// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package source

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf/link"

	"github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"
)

// Tasks lists the processes that exist, with exact identities, which /proc does
// not have.
func (k *Kernel) Tasks() (_ []event.Task, err error) {
	iterator, err := link.AttachIter(link.IterOptions{Program: k.objects.DumpProcesses})
	if err != nil {
		return nil, explain(fmt.Errorf("attach the task iterator: %w", err))
	}
	defer func() { err = errors.Join(err, iterator.Close()) }()
	reader, err := iterator.Open()
	if err != nil {
		return nil, fmt.Errorf("open the task iterator: %w", err)
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	rows, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("iterate over tasks: %w", err)
	}
	tasks := make([]event.Task, 0, len(rows)/lifecycleSize)
	for ; len(rows) >= lifecycleSize; rows = rows[lifecycleSize:] {
		tasks = append(tasks, decodeTask(rows))
	}
	return tasks, nil
}
