// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package process

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/event"

// Settings are the bounds of a table. Zero values mean the defaults.
type Settings struct {
	// MaxProcesses is how many instances the table keeps that are not freed yet
	// (default 32768).
	MaxProcesses int
	// ReadInterval is the least distance, in nanoseconds of KTime, between two
	// re-reads of an instance that are asked for by Missed (default 1 s).
	ReadInterval event.KTime
	// MaxRequests bounds the queue behind Requests (default 4096).
	MaxRequests int
	// MaxRecords bounds the lifecycle records that wait for their completion, and
	// those of mappings (default 65536 each).
	MaxRecords int
	// ReadAll asks for a read of /proc of every process that is sampled, because it
	// tells something that is wanted and that records do not.
	ReadAll bool
}

func (s Settings) orDefaults() Settings {
	orDefault(&s.MaxProcesses, 32768)
	orDefault(&s.ReadInterval, 1_000_000_000)
	orDefault(&s.MaxRequests, 4096)
	orDefault(&s.MaxRecords, 65536)
	return s
}

func orDefault[T int | event.KTime](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

const (
	// tick is the unit of a process's start time in /proc: USER_HZ is 100 on
	// every platform we run on.
	tick = 10_000_000
	// doubtIntervals is the least distance between two re-reads for doubt, in
	// ReadIntervals.
	doubtIntervals = 10
	// maxTries bounds the reads for a generation that has no image yet.
	maxTries = 4
	// settle is how long a superseded generation is kept: the kernel counts the
	// generation up a moment after the exec is stamped, so samples in between
	// still carry the old one. Later ones are served too, by a new record.
	settle event.KTime = 10_000_000
	// forkTakes is more than a fork takes from the copy of the memory to its stamp.
	forkTakes event.KTime = 1_000_000_000
	// linger is how long after its exit an instance keeps its images. Exit work
	// is done by then; what remains is a zombie that nobody reaps.
	linger event.KTime = 10_000_000_000
)
