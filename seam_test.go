// Copyright The ebpf_profiler authors
// SPDX-License-Identifier: Apache-2.0

package ebpfprofilerreceiver

import "github.com/seed-a4c8bb2c/ebpfprofilerreceiver/internal/sourcetest"

// The tests of this package, the generated ones included, run unprivileged.
func init() { openSource = sourcetest.Open }
