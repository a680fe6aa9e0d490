// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package receiver

import "golang.org/x/sys/unix"

// bootTime is the Unix time in nanoseconds at which CLOCK_BOOTTIME was 0.
func bootTime() int64 {
	var boot, wall unix.Timespec
	// Neither call can fail for these clocks (clock_gettime(2)).
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
	return wall.Nano() - boot.Nano()
}
