// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is the Unix time in nanoseconds at which CLOCK_BOOTTIME was 0, to a millisecond: to
// read two clocks takes microseconds, and a process is to be the same after a reload.
func bootTime() int64 {
	var boot, wall unix.Timespec
	// Neither call can fail for these clocks (clock_gettime(2)).
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
	return time.Duration(wall.Nano() - boot.Nano()).Round(time.Millisecond).Nanoseconds()
}
